/** A page of 300 resources of three kinds. Its title counts those that a browser took. */
export const ASSETS = 300;

const SVG = `<svg xmlns="http://www.w3.org/2000/svg" width="4" height="4"><rect width="4" height="4"/></svg>`;
/** Some kilobytes each, so that responses do not all fit into one packet. */
const FILLER = `/* ${"filler ".repeat(500)} */`;

function tagOf(index: number): string {
  const url = `/asset/${index}`;
  const events = `onload="arrived++" onerror="failed++"`;
  switch (index % 3) {
    case 0:
      return `<img src="${url}" ${events}>`;
    case 1:
      return `<script src="${url}" ${events}></script>`;
    default:
      return `<link rel="stylesheet" href="${url}" ${events}>`;
  }
}

export const PAGE = `<!doctype html><html><head><meta charset="utf-8"><title>loading</title>
<link rel="icon" href="data:,"><script>var arrived = 0, failed = 0, run = 0;
addEventListener("load", () => { document.title = arrived + " arrived, " + failed + " failed, " + run + " ran"; });
</script></head><body>
${Array.from({ length: ASSETS }, (_, index) => tagOf(index)).join("\n")}
</body></html>
`;

/** One resource of the page. */
export function assetOf(argument: string): Response {
  const index = Number(argument);
  if (!(index >= 0 && index < ASSETS)) return new Response("no such asset\n", { status: 404 });
  switch (index % 3) {
    case 0:
      return new Response(SVG, { headers: { "content-type": "image/svg+xml" } });
    case 1:
      return new Response(`run++; ${FILLER}`, { headers: { "content-type": "text/javascript" } });
    default:
      return new Response(`.a${index} { color: red } ${FILLER}`, { headers: { "content-type": "text/css" } });
  }
}
