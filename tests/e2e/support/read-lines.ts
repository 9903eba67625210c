/** The lines of a stream as they come, without their ends. A last one without an end is not given. */
export async function* readLines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    const parts = (text + decoder.decode(chunk, { stream: true })).split("\n");
    text = parts.pop() ?? "";
    for (const part of parts) yield part.replace(/\r$/, "");
  }
}
