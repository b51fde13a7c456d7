/** A note, as the application's own endpoints have it. */
export interface Note {
  id: string;
  title: string;
  body: string;
}

async function ask<T>(method: string, path: string, body?: unknown): Promise<T> {
  const headers = { "content-type": "application/json" };
  const response = await fetch(path, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  if (!response.ok) {
    throw new Error(await response.text());
  }
  const text = await response.text();
  return (text === "" ? undefined : JSON.parse(text)) as T;
}

export const signIn = (user: string) => ask<void>("POST", "/api/session", { user });
export const who = () => ask<string>("GET", "/api/session");
export const listNotes = () => ask<Note[]>("GET", "/api/notes");
export const createNote = (title: string) => ask<Note>("POST", "/api/notes", { title, body: "" });
export const saveNote = ({ id, ...rest }: Note) => ask<Note>("PUT", `/api/notes/${id}`, rest);
