import { useMutation, useQuery } from "convex/react";
import type { FunctionReturnType } from "convex/server";
import { formatTimestamp, getSeverityColor, useAuditLogByResource, useForwardingStatus } from "sealog-convex/react";
import { useState, type FormEvent } from "react";
import { api } from "../convex/_generated/api";

type Note = FunctionReturnType<typeof api.notes.list>[number];

export function Page() {
  const notes = useQuery(api.notes.list, {});
  const create = useMutation(api.notes.create);
  const [chosen, choose] = useState<string>();
  const note = notes?.find(({ _id }) => _id === chosen);

  async function add(submitted: FormEvent<HTMLFormElement>) {
    submitted.preventDefault();
    const form = submitted.currentTarget;
    const title = String(new FormData(form).get("title"));
    form.reset();
    choose(await create({ title }));
  }

  return (
    <main>
      <h1>Notes</h1>
      <Forwarding />
      <form onSubmit={(submitted) => void add(submitted)}>
        <input name="title" aria-label="Title of a new note" required />
        <button type="submit">New note</button>
      </form>
      <nav>
        {notes?.map(({ _id, title }) => (
          <button key={_id} type="button" onClick={() => choose(_id)}>
            {title}
          </button>
        ))}
      </nav>
      {note && <Editor key={note._id} note={note} />}
      {note && <History noteId={note._id} />}
    </main>
  );
}

function Editor({ note }: { note: Note }) {
  const save = useMutation(api.notes.save);
  const [error, setError] = useState("");

  function submit(submitted: FormEvent<HTMLFormElement>) {
    submitted.preventDefault();
    const form = new FormData(submitted.currentTarget);
    save({ noteId: note._id, title: String(form.get("title")), text: String(form.get("text")) }).then(
      () => setError(""),
      (cause: Error) => setError(cause.message),
    );
  }

  return (
    <form onSubmit={submit}>
      <input name="title" aria-label="Title" defaultValue={note.title} />
      <textarea name="text" aria-label="Text" defaultValue={note.text} />
      <button type="submit">Save</button>
      {error && <p role="alert">{error}</p>}
    </form>
  );
}

/** Who changed what in a note, as it happens. */
export function History({ noteId }: { noteId: string }) {
  const events = useAuditLogByResource(api.audit.queryByResource, { resourceType: "notes", resourceId: noteId, limit: 20 });
  if (!events) return <p>Loading…</p>;
  return (
    <ol aria-label="History">
      {events.map((event) => (
        <li key={event._id} style={{ borderLeftColor: getSeverityColor(event.severity) }}>
          <strong>{event.action}</strong> by {event.actorId}, {formatTimestamp(event.timestamp)}
          {event.diff && <pre>{event.diff}</pre>}
        </li>
      ))}
    </ol>
  );
}

/** Whether the server has everything. */
function Forwarding() {
  const status = useForwardingStatus(api.audit.forwardingStatus);
  if (!status || status.state === "off") return null;
  return (
    <p role="status">
      {status.pending === 0 ? `Sealed up to ${status.lastSeq ?? "nothing"}` : `${status.pending} events wait to be sealed`}
      {status.error && `: ${status.error.message}`}
    </p>
  );
}
