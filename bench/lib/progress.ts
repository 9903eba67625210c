/** What is going on, on one line of stderr that is overwritten; nothing where nobody watches. */
export class Progress {
  readonly #isTerminal = process.stderr.isTTY;

  show(text: string): void {
    if (!this.#isTerminal) return;
    const width = (process.stderr.columns ?? 80) - 1;
    process.stderr.write(`\r\u001b[K${text.slice(0, width)}`);
  }

  clear(): void {
    if (this.#isTerminal) process.stderr.write("\r\u001b[K");
  }
}
