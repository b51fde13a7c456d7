// The vectors that the Rust side runs as well.
import { describe, expect, test, vi } from "vitest";
import { generateDiff, readableDiff } from "../../src/diff.js";
import { canonicalJson } from "../../src/json.js";
import { FrameParser } from "../../src/live/frames.js";
import { verifyProof } from "../../src/proof.js";
import { Redactor, type Redactable } from "../../src/redact.js";
import { vectors } from "../contract.js";

describe("canonical.json", () => {
  // JSON.parse rounds integers beyond 2^53, so a verifier here hashes the bytes it received.
  const cases = vectors("canonical.json").cases.filter(({ integers64 }: { integers64?: boolean }) => !integers64);
  for (const { name, json, canonical } of cases) {
    test(name, () => expect(canonicalJson(JSON.parse(json))).toBe(canonical));
  }
});

describe("diff.json", () => {
  for (const { name, before, after, ops, readable } of vectors("diff.json").cases) {
    test(name, () => {
      expect(generateDiff(before, after)).toEqual(ops);
      expect(readableDiff(ops)).toBe(readable);
    });
  }
});

describe("redaction.json", () => {
  const { cases } = vectors("redaction.json");
  // Hashing takes the log's key, and detectors and addresses are told by the server's rules alone.
  const isServers = ({ policy }: { policy: Record<string, unknown> }) =>
    JSON.stringify(policy).includes('"hash"') || policy.detectors !== undefined || policy.ipAddress !== undefined;

  for (const { name, policy, event, stored } of cases.filter((vector: never) => !isServers(vector))) {
    test(name, () => {
      const sent: Redactable = structuredClone(event);
      new Redactor({ piiFields: policy.redactFields, piiPaths: policy.redactPaths }).redact(sent);
      const { changed = [], ...hidden } = sent;
      const { diff = [], severity: _, ...expected } = stored;
      // Equal tags are made one by the log.
      if (hidden.tags) {
        hidden.tags = [...new Set(hidden.tags)];
      }
      expect(hidden).toEqual(expected);
      // What the log can no longer see has changed is told to it.
      const shown = new Set(generateDiff(sent.before ?? null, sent.after ?? null).map((op) => op.path));
      const missing = diff.map((op: { path: string }) => op.path).filter((path: string) => !shown.has(path));
      expect(changed).toEqual(expect.arrayContaining(missing));
    });
  }

  test("which cases are the server's", () => {
    expect(cases.filter(isServers).map(({ name }: { name: string }) => name)).toMatchInlineSnapshot(`
      [
        "hash of a text and of anything else",
        "what is hidden already stays",
        "what only looks hidden does not stay",
        "no name inside a hidden value is in the diff",
        "detector: e-mail addresses",
        "detector: card numbers",
        "detector: JSON web tokens",
        "detector: bearer tokens",
        "detector: cloud key ids",
        "detector: in another mode",
        "detector: in names too",
        "address: kept",
        "address: IPv4 truncated",
        "address: IPv6 truncated",
        "address: IPv4 in IPv6",
        "address: a list",
        "address: with a port",
        "address: the name of a service",
        "address: hashed",
        "address: hashed whatever its spelling",
      ]
    `);
  });
});

describe("frames.json", () => {
  for (const { name, text, retry, event, id, data } of vectors("frames.json").frames) {
    test(name, () => {
      for (const pieces of [[text], [...text], [text.slice(0, 9), text.slice(9)]]) {
        const parser = new FrameParser();
        const frames = pieces.flatMap((piece) => parser.push(piece));
        const read = frames.map((frame) => ({ ...frame, ...(frame.data === undefined ? {} : { data: JSON.parse(frame.data) }) }));
        const expected = JSON.parse(JSON.stringify({ retry, event, id, data }));
        expect(read).toEqual(Object.keys(expected).length > 0 ? [expected] : []);
      }
    });
  }
});

describe("proof.json", () => {
  const { files, invalidFiles, vkey } = vectors("proof.json");
  for (const { file, canonical, seq, size } of files) {
    test(`seq ${seq} of ${size}`, async () => {
      const shown = await verifyProof(file, vkey);
      expect(shown).toMatchObject({ seq, canonicalJson: canonical, event: JSON.parse(canonical), checkpoint: { size } });
    });
  }
  for (const { what, file } of invalidFiles) {
    test(`not: ${what}`, async () => {
      await expect(verifyProof(file, vkey)).rejects.toMatchObject({ name: "SealogError", code: "invalid_proof" });
    });
  }

  test("no byte of a proof can be another one", async () => {
    const { file } = files[1];
    for (let at = 0; at < file.length; at += 7) {
      const forged = file.slice(0, at) + (file[at] === "A" ? "B" : "A") + file.slice(at + 1);
      await expect(verifyProof(forged, vkey), String(at)).rejects.toMatchObject({ code: "invalid_proof" });
    }
  });

  test("with another log's key", async () => {
    const other = "other.example+285dc161+Af+HoLCjx8DOgn6craX/eedaRKBjO/y1tQ+ZMH3bJrM3";
    await expect(verifyProof(files[0].file, other)).rejects.toMatchObject({ code: "invalid_proof" });
  });

  test("where it cannot be checked, that is said, and not that it is wrong", async () => {
    try {
      const importKey = vi.spyOn(crypto.subtle, "importKey");
      // What Chrome 136 says; older browsers have other words for it.
      importKey.mockRejectedValueOnce(new DOMException("Algorithm: Unrecognized name", "NotSupportedError"));
      const unknown = { name: "SealogError", code: "unsupported", message: expect.stringContaining("take Chrome 137") };
      await expect(verifyProof(files[0].file, vkey)).rejects.toMatchObject(unknown);
      importKey.mockRejectedValueOnce(new DOMException("", "SyntaxError"));
      await expect(verifyProof(files[0].file, vkey)).rejects.toMatchObject(unknown);
      importKey.mockRejectedValueOnce(new DOMException("", "DataError"));
      await expect(verifyProof(files[0].file, vkey)).rejects.toMatchObject({ code: "invalid_proof" });
      // A page over plain HTTP has none of it.
      vi.stubGlobal("crypto", {});
      const insecure = { code: "unsupported", message: expect.stringContaining("over HTTPS") };
      await expect(verifyProof(files[0].file, vkey)).rejects.toMatchObject(insecure);
    } finally {
      vi.unstubAllGlobals();
      vi.restoreAllMocks();
    }
  });
});
