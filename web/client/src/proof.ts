import { SealogError } from "./error.js";

/** What a proof shows. */
export interface VerifiedEvent {
  /** The event's place in the log. */
  seq: number;
  /** The event, in the very text that was sealed. */
  canonicalJson: string;
  /** The event. Integers beyond 2^53 are what `JSON.parse` makes of them. */
  event: Record<string, unknown>;
  /** The log that it is in, how long the log was then, and the root of its tree, in base64. */
  checkpoint: { origin: string; size: number; root: string };
}

/** The most hashes of a proof: a tree has no more levels. */
const MAX_HASHES = 63;
const HASH_BYTES = 32;
const SALT_BYTES = 16;
/** The first byte of `extra`: the version of what follows. */
const EXTRA_VERSION = 1;
/** The type of an Ed25519 key in a vkey, and how long key and signature are. */
const ED25519 = 1;
const KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;

/**
 * Checks a proof file (C2SP tlog-proof) without the log: that its event was in the log when the log's key signed
 * the checkpoint. In browsers and in Node, by WebCrypto, with Ed25519 (Chrome 137, Firefox 129, Safari 17, Node 20).
 *
 * Throws a `SealogError` with the code `invalid_proof` where it does not hold, and with `unsupported` where WebCrypto or
 * Ed25519 is not there, so that nothing is known.
 */
export async function verifyProof(file: string, vkey: string): Promise<VerifiedEvent> {
  if (!globalThis.crypto?.subtle) {
    throw new SealogError("unsupported", "WebCrypto is not there: browsers have it over HTTPS and on localhost alone");
  }
  const key = await readVkey(vkey);
  const split = file.indexOf("\n\n");
  check(split > 0, "there is no checkpoint");
  const [format, extraLine = "", indexLine = "", ...hashLines] = file.slice(0, split).split("\n");
  check(format === "c2sp.org/tlog-proof@v1", "this is no proof of the version that is known here");
  check(extraLine.startsWith("extra "), "there is no event in it");
  const index = readDecimal(indexLine.startsWith("index ") ? indexLine.slice(6) : "", "the index");
  check(hashLines.length <= MAX_HASHES, "there are too many hashes");
  const hashes = hashLines.map((line) => bytesOf(line, HASH_BYTES, "a hash"));

  const checkpoint = await readCheckpoint(file.slice(split + 2), key);
  const extra = fromBase64(extraLine.slice(6), "the event");
  check(extra[0] === EXTRA_VERSION && extra.length > 1 + SALT_BYTES, "the event is not in the form that is known here");

  const commitment = await sha256(extra.subarray(1));
  const leaf = await sha256(new Uint8Array([0]), commitment);
  const root = await rootOf(BigInt(index), BigInt(checkpoint.size), leaf, hashes);
  check(toBase64(root) === checkpoint.root, "the event is not in the tree of the checkpoint");

  const { canonicalJson, event } = readBody(extra.subarray(1 + SALT_BYTES));
  check(event.seq === Number(index), "the event is from another place of the log");
  const { origin, size } = checkpoint;
  return { seq: Number(index), canonicalJson, event, checkpoint: { origin, size: Number(size), root: checkpoint.root } };
}

function readBody(bytes: Uint8Array): { canonicalJson: string; event: Record<string, unknown> } {
  try {
    const canonicalJson = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    return { canonicalJson, event: JSON.parse(canonicalJson) as Record<string, unknown> };
  } catch (cause) {
    throw new SealogError("invalid_proof", "the event is no JSON", { cause });
  }
}

interface Vkey {
  name: string;
  id: Uint8Array;
  key: CryptoKey;
}

/** `name+id+base64(0x01 ‖ public key)` */
async function readVkey(vkey: string): Promise<Vkey> {
  const [, name, hexId, base64] = /^([^\s+]{1,256})\+([0-9a-f]{8})\+(.+)$/.exec(vkey.trim()) ?? [];
  check(name !== undefined, "this is no vkey: it has a name, an id and a key with + between them");
  const bytes = bytesOf(base64!, 1 + KEY_BYTES, "the key");
  check(bytes[0] === ED25519, "the vkey is of another kind than Ed25519");
  const digest = await sha256(new TextEncoder().encode(`${name}\n`), bytes);
  const id = digest.slice(0, 4);
  check(hexId === Array.from(id, (byte) => byte.toString(16).padStart(2, "0")).join(""), "the vkey's id is not that of its key");
  try {
    const key = await crypto.subtle.importKey("raw", bytes.slice(1), "Ed25519", false, ["verify"]);
    return { name: name!, id, key };
  } catch (cause) {
    // Of bytes that are no key it is this error alone. Without Ed25519 it is another one, not the same everywhere.
    check((cause as Error).name !== "DataError", "the key is none");
    throw new SealogError(
      "unsupported",
      "Ed25519 is not known here: take Chrome 137, Firefox 129, Safari 17, Node 20 or newer, or `sealog verify-proof`",
      { cause },
    );
  }
}

/** A signed note: origin, size and root, an empty line, and signatures. */
async function readCheckpoint(note: string, vkey: Vkey): Promise<{ origin: string; size: string; root: string }> {
  const end = note.lastIndexOf("\n\n");
  check(end > 0 && note.endsWith("\n"), "the checkpoint is cut off");
  const text = note.slice(0, end + 1);
  const [origin, size = "", root = ""] = text.split("\n");
  check(origin === vkey.name, `the checkpoint is of another log than ${vkey.name}`);
  readDecimal(size, "the size");
  bytesOf(root, HASH_BYTES, "the root");
  for (const line of note.slice(end + 2, -1).split("\n")) {
    const [, name, base64] = /^— (\S+) (\S+)$/.exec(line) ?? [];
    check(name !== undefined, "there is a line among the signatures that is none");
    const bytes = fromBase64(base64!, "a signature");
    if (name !== vkey.name || !vkey.id.every((byte, at) => bytes[at] === byte)) {
      continue;
    }
    check(bytes.length === 4 + SIGNATURE_BYTES, "the signature is not as long as one");
    const isSigned = await crypto.subtle.verify("Ed25519", vkey.key, bytes.slice(4), new TextEncoder().encode(text));
    check(isSigned, "the signature is not of this key");
    return { origin: origin!, size, root };
  }
  throw new SealogError("invalid_proof", "the checkpoint is not signed with this key");
}

/** The root that a leaf and its proof lead to (RFC 9162, section 2.1.3.2, which is that of RFC 6962). */
async function rootOf(index: bigint, size: bigint, leaf: Uint8Array, hashes: Uint8Array[]): Promise<Uint8Array> {
  check(index < size, "the index is beyond the tree");
  let node = index;
  let last = size - 1n;
  let hash = leaf;
  for (const sibling of hashes) {
    check(last > 0n, "there are more hashes than levels");
    if (node % 2n === 1n || node === last) {
      hash = await sha256(new Uint8Array([1]), sibling, hash);
      while (node % 2n === 0n && node > 0n) {
        node /= 2n;
        last /= 2n;
      }
    } else {
      hash = await sha256(new Uint8Array([1]), hash, sibling);
    }
    node /= 2n;
    last /= 2n;
  }
  check(last === 0n, "there are fewer hashes than levels");
  return hash;
}

function readDecimal(text: string, what: string): string {
  check(/^(0|[1-9][0-9]{0,18})$/.test(text), `${what} is no number`);
  return text;
}

function bytesOf(base64: string, length: number, what: string): Uint8Array<ArrayBuffer> {
  const bytes = fromBase64(base64, what);
  check(bytes.length === length, `${what} has not ${length} bytes`);
  return bytes;
}

/** Base64 with padding, in its one spelling. */
function fromBase64(base64: string, what: string): Uint8Array<ArrayBuffer> {
  let binary = "";
  try {
    binary = atob(base64);
  } catch {
    // What cannot be read differs from what it would be written as.
  }
  check(base64 !== "" && btoa(binary) === base64, `${what} is no base64`);
  return Uint8Array.from(binary, (char) => char.charCodeAt(0));
}

function toBase64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}

async function sha256(...parts: Uint8Array[]): Promise<Uint8Array> {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

function check(holds: boolean, what: string): asserts holds {
  if (!holds) {
    throw new SealogError("invalid_proof", what);
  }
}
