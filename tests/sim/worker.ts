import { runSeed } from "./simulation.ts";

// Runs batches of seeds beside others; failures go back as text.

declare const self: Worker;

self.onmessage = ({ data }: MessageEvent<{ readonly from: number; readonly count: number }>) => {
  const { from, count } = data;
  self.postMessage(Array.from({ length: count }, (_, at) => runSeed({ seed: from + at })));
};
