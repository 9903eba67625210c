/**
 * A text that may go to a terminal or a log: on one line, without terminal escapes, and without the secrets of rvpn that
 * somebody may have typed in the wrong place. A link's secret is behind its "#", a secret key says what it is.
 */
export function presentable(text: string): string {
  return (
    text
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters to be kept from the terminal
      .replaceAll(/[\u0000-\u001f\u007f-\u009f]+/g, " ")
      .replaceAll(/#[\w-]{16,}/g, "#…")
      .replaceAll(/rvpn-sk-[\w-]+/g, "rvpn-sk-…")
  );
}
