import { useCallback, useEffect, useState, type FormEvent } from "react";
import { History } from "./history";
import { createNote, listNotes, saveNote, signIn, who, type Note } from "./notes";

/** What a form's fields hold, by their names. */
function fields(submitted: FormEvent<HTMLFormElement>): Record<string, string> {
  submitted.preventDefault();
  return Object.fromEntries([...new FormData(submitted.currentTarget)].map(([name, value]) => [name, String(value)]));
}

export function Page() {
  const [user, setUser] = useState<string | null>();
  useEffect(() => void who().then(setUser, () => setUser(null)), []);

  if (user === undefined) return null;
  if (user === null) {
    return (
      <form onSubmit={(submitted) => void signIn(fields(submitted).user!).then(who).then(setUser)}>
        <label>
          Your name <input name="user" required />
        </label>
        <button>Sign in</button>
      </form>
    );
  }
  return <Notes user={user} />;
}

function Notes({ user }: { user: string }) {
  const [notes, setNotes] = useState<Note[]>([]);
  const [shownId, setShownId] = useState<string>();
  const reload = useCallback(() => listNotes().then(setNotes), []);
  useEffect(() => void reload(), [reload]);
  const shown = notes.find((note) => note.id === shownId);

  async function create(submitted: FormEvent<HTMLFormElement>) {
    const note = await createNote(fields(submitted).new!);
    await reload();
    setShownId(note.id);
  }

  return (
    <>
      <p>Signed in as {user}</p>
      <main>
        <nav>
          <ul>
            {notes.map((note) => (
              <li key={note.id}>
                <button onClick={() => setShownId(note.id)}>{note.title}</button>
              </li>
            ))}
          </ul>
          <form onSubmit={(submitted) => void create(submitted)}>
            <input name="new" aria-label="Title of a new note" required />
            <button>New note</button>
          </form>
        </nav>
        {shown && <Editor key={shown.id} note={shown} onSaved={reload} />}
      </main>
    </>
  );
}

function Editor({ note, onSaved }: { note: Note; onSaved: () => Promise<void> }) {
  const [error, setError] = useState("");

  async function save(submitted: FormEvent<HTMLFormElement>) {
    const { title = "", body = "" } = fields(submitted);
    try {
      await saveNote({ id: note.id, title, body });
      setError("");
      await onSaved();
    } catch (failure) {
      setError(String(failure));
    }
  }

  return (
    <article>
      <form onSubmit={(submitted) => void save(submitted)}>
        <input name="title" aria-label="Title" defaultValue={note.title} />
        <textarea name="body" aria-label="Text" rows={6} defaultValue={note.body} />
        <button>Save</button>
        {error && <p role="alert">{error}</p>}
      </form>
      <h2>History</h2>
      <History noteId={note.id} />
    </article>
  );
}
