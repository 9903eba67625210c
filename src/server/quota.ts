/** Counts what is open, and says when it is enough: of one client, and through `whole` of the server too. */
export class Quota {
  readonly #limit: number;
  readonly #whole: Quota | undefined;
  #used = 0;

  constructor(limit: number, whole?: Quota) {
    this.#limit = limit;
    this.#whole = whole;
  }

  get used(): number {
    return this.#used;
  }

  get isFull(): boolean {
    return this.#used >= this.#limit || this.#whole?.isFull === true;
  }

  /** One more, whether or not it is within the limit: ask `isFull` first, but for what takes another's place. */
  add(): void {
    this.#used += 1;
    this.#whole?.add();
  }

  remove(): void {
    this.#used -= 1;
    this.#whole?.remove();
  }
}
