"""Reads a report with programs that nobody here wrote, and prints each row as a line of JSON.

    read.py csv FILE      a list of the cells
    read.py ask FILE      an answer's columns, of each statement of SQL in the file
    read.py parquet FILE  the event; before the rows a line with the types of the columns, and what the
                          report carries
"""

import csv
import json
import pathlib
import sys

ROWS_AT_ONCE = 1_000
DOCUMENTS = {"metadata", "before", "after", "diff"}


def main(kind, file):
    for line in {"csv": table, "ask": answers, "parquet": events}[kind](file):
        sys.stdout.write(line + "\n")


def table(file):
    csv.field_size_limit(1 << 30)
    with open(file, newline="", encoding="utf-8") as text:
        for row in csv.reader(text, strict=True):
            yield json.dumps(row)


def answers(file):
    import duckdb

    database = duckdb.connect()
    for statement in duckdb.extract_statements(pathlib.Path(file).read_text()):
        for row in database.execute(statement).fetchall():
            yield json.dumps(row, default=str)


def events(file):
    import duckdb

    queries = pathlib.Path(__file__).parent
    database = duckdb.connect()
    ask = lambda name: database.execute((queries / name).read_text(), [file])
    types = dict(ask("types.sql").fetchall())
    [(about,)] = ask("about.sql").fetchall()
    yield json.dumps({"types": types, "about": json.loads(about)})
    rows = ask("rows.sql")
    names = [column[0] for column in rows.description]
    while some := rows.fetchmany(ROWS_AT_ONCE):
        for row in some:
            # Documents as they are, so that their numbers keep their digits.
            members = (
                f"{json.dumps(name)}:{value if name in DOCUMENTS else json.dumps(value)}"
                for name, value in zip(names, row)
                if value is not None
            )
            yield "{" + ",".join(members) + "}"


main(*sys.argv[1:])
