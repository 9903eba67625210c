/** What a column of a result table holds. */
export interface Column {
  readonly key: string;
  readonly title: string;
  readonly unit: string;
  /** A second column shows the median as a multiple of the base contestant's. */
  readonly ratio?: boolean;
  /** Figures that only explain another do with the median. */
  readonly plain?: boolean;
}

export interface Row {
  readonly name: string;
  readonly values: Map<string, number[]>;
  /** Why there are no figures, or not all. */
  failure: string | undefined;
}

/** One table of a test: a row per contestant, a column per figure, all values of all rounds. */
export class Results {
  readonly title: string;
  readonly columns: readonly Column[];
  /** The row that ratios refer to. */
  readonly base: string;
  /** Facts that the figures need: sizes, counts, what was left out. */
  readonly notes: string[] = [];
  readonly #rows = new Map<string, Row>();

  constructor(title: string, base: string, columns: readonly Column[]) {
    this.title = title;
    this.base = base;
    this.columns = columns;
  }

  get rows(): readonly Row[] {
    return [...this.#rows.values()];
  }

  row(name: string): Row {
    const row = this.#rows.get(name) ?? { name, values: new Map(), failure: undefined };
    this.#rows.set(name, row);
    return row;
  }

  add(name: string, key: string, ...values: readonly number[]): void {
    if (!this.columns.some((column) => column.key === key)) throw new Error(`no column ${key}`);
    const row = this.row(name);
    row.values.set(key, [...(row.values.get(key) ?? []), ...values]);
  }

  /** A contestant that fails once is marked: a median of the rounds that went well may flatter it. */
  fail(name: string, reason: string): void {
    this.row(name).failure ??= reason;
  }

  toJSON(): object {
    const rows = this.rows.map(({ name, values, failure }) => ({
      name,
      ...(failure === undefined ? {} : { failure }),
      values: Object.fromEntries(values),
    }));
    return { title: this.title, base: this.base, columns: this.columns, notes: this.notes, rows };
  }
}
