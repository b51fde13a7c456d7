// For user interfaces that keep what a stream tells in a form of their own.
export { Connection, type ConnectionOptions } from "./connection.js";
export type { Frame } from "./frames.js";
export type { Phase } from "./state.js";
export { asError, environment, Transport, type Asked, type TransportOptions } from "../transport.js";
export { entryOf, pageOf, queryString, statsOf, type Question } from "../wire.js";
export { SealogError } from "../error.js";
