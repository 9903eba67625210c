/** What moves a link's messages: a WebSocket of either end. Order is kept; a message is whole or the link is over. */
export interface Carrier {
  /** Takes the message over. False when it could not be sent: the link is over. */
  send(message: Uint8Array): boolean;
  /** Ends the carrier; calling it again does nothing. */
  close(): void;
}
