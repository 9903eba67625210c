import { UsageError } from "../runtime/errors.ts";

/** Well above any link or key. Whatever else is piped in by mistake is not read to its end. */
const MAX_INPUT_BYTES = 64 * 1024;

/** The text on standard input, without space around it. `what` is what it should hold, for the error messages. */
export async function readInput(what: string, hint: string): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of Bun.stdin.stream()) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > MAX_INPUT_BYTES) {
      throw new UsageError(`standard input holds more than ${what}`, hint);
    }
  }
  if (text.trim() === "") throw new UsageError(`standard input is empty: ${what} was expected`, hint);
  return text.trim();
}
