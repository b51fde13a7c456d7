import { useCallback, useEffect, useState, type FormEvent, type ReactNode } from "react";
import { History } from "./history";
import { createNote, listNotes, saveNote, signIn, who, type Note } from "./notes";

/** A form that does something with what its fields hold, by their names, and says when that did not work. */
function Form({ act, children }: { act: (fields: Record<string, string>) => Promise<void>; children: ReactNode }) {
  const [error, setError] = useState("");

  async function submit(submitted: FormEvent<HTMLFormElement>) {
    submitted.preventDefault();
    const fields = [...new FormData(submitted.currentTarget)].map(([name, value]) => [name, String(value)]);
    try {
      await act(Object.fromEntries(fields));
      setError("");
    } catch (failure) {
      setError(String(failure));
    }
  }

  return (
    <form onSubmit={(submitted) => void submit(submitted)}>
      {children}
      {error && <p role="alert">{error}</p>}
    </form>
  );
}

export function Page() {
  const [user, setUser] = useState<string | null>();
  useEffect(() => void who().then(setUser, () => setUser(null)), []);

  if (user === undefined) return null;
  if (user === null) {
    return (
      <Form act={({ user = "" }) => signIn(user).then(who).then(setUser)}>
        <label>
          Your name <input name="user" required />
        </label>
        <button>Sign in</button>
      </Form>
    );
  }
  return <Notes user={user} />;
}

function Notes({ user }: { user: string }) {
  const [notes, setNotes] = useState<Note[]>([]);
  const [shownId, setShownId] = useState<string>();
  const [error, setError] = useState("");
  const reload = useCallback(async () => {
    setNotes(await listNotes());
    setError("");
  }, []);
  useEffect(() => void reload().catch((failure) => setError(String(failure))), [reload]);
  const shown = notes.find((note) => note.id === shownId);

  async function create(title: string) {
    const note = await createNote(title);
    await reload();
    setShownId(note.id);
  }

  return (
    <>
      <p>Signed in as {user}</p>
      {error && <p role="alert">{error}</p>}
      <main>
        <nav>
          <ul>
            {notes.map((note) => (
              <li key={note.id}>
                <button onClick={() => setShownId(note.id)}>{note.title}</button>
              </li>
            ))}
          </ul>
          <Form act={({ title = "" }) => create(title)}>
            <input name="title" aria-label="Title of a new note" required />
            <button>New note</button>
          </Form>
        </nav>
        {shown && <Editor key={shown.id} note={shown} onSaved={reload} />}
      </main>
    </>
  );
}

function Editor({ note, onSaved }: { note: Note; onSaved: () => Promise<void> }) {
  async function save(title: string, body: string) {
    await saveNote({ id: note.id, title, body });
    await onSaved();
  }

  return (
    <article>
      <Form act={({ title = "", body = "" }) => save(title, body)}>
        <input name="title" aria-label="Title" defaultValue={note.title} />
        <textarea name="body" aria-label="Text" rows={6} defaultValue={note.body} />
        <button>Save</button>
      </Form>
      <h2>History</h2>
      <History noteId={note.id} />
    </article>
  );
}
