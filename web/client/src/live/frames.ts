import { SealogError } from "../error.js";

/** One frame of a stream, as https://html.spec.whatwg.org/multipage/server-sent-events.html reads it. */
export interface Frame {
  event?: string;
  id?: string;
  data?: string;
  /** How long the server asks to wait before coming again, in milliseconds. */
  retry?: number;
}

/** No frame is longer: a first page of a thousand of the largest events would be, and is not asked for. */
const MAX_FRAME_CHARS = 1 << 26;

/** Takes text in pieces, however it is cut, and gives the frames that are whole. */
export class FrameParser {
  #rest = "";
  #frame: Frame = {};
  #data: string[] = [];
  #chars = 0;
  #isFirst = true;
  #endedWithCr = false;

  push(piece: string): Frame[] {
    const frames: Frame[] = [];
    let text = piece;
    if (this.#isFirst && text !== "") {
      this.#isFirst = false;
      text = text.replace(/^\ufeff/, "");
    }
    // A line feed after a carriage return that ended the piece before belongs to it.
    if (this.#endedWithCr && text.startsWith("\n")) {
      text = text.slice(1);
    }
    if (piece !== "") {
      this.#endedWithCr = piece.endsWith("\r");
    }
    const lines = text.split(/\r\n|\n|\r/);
    lines[0] = this.#rest + lines[0];
    this.#rest = lines.pop()!;
    for (const line of lines) {
      this.#chars += line.length;
      if (line === "") {
        this.#dispatch(frames);
      } else {
        this.#field(line);
      }
    }
    if (this.#chars + this.#rest.length > MAX_FRAME_CHARS) {
      throw new SealogError("bad_answer", "a frame of the stream is too long", { retryable: true });
    }
    return frames;
  }

  #field(line: string): void {
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "event") {
      this.#frame.event = value;
    } else if (name === "data") {
      this.#data.push(value);
    } else if (name === "id" && !value.includes("\0")) {
      this.#frame.id = value;
    } else if (name === "retry" && /^[0-9]+$/.test(value)) {
      this.#frame.retry = Number(value);
    }
  }

  #dispatch(frames: Frame[]): void {
    const frame = this.#frame;
    if (this.#data.length > 0) {
      frame.data = this.#data.join("\n");
    }
    if (Object.keys(frame).length > 0) {
      frames.push(frame);
    }
    this.#frame = {};
    this.#data = [];
    this.#chars = 0;
  }
}
