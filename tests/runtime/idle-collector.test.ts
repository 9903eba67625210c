import { describe, expect, test } from "bun:test";
import { IdleCollector } from "../../src/runtime/idle-collector.ts";

const MB = 1_000_000;

/** A process whose memory and work the test decides. */
class FakeProcess {
  rss = 60 * MB;
  cpu = 0;
  collected = 0;
  /** What a collection leaves. */
  live = 60 * MB;
  readonly collector = new IdleCollector({
    rssBytes: () => this.rss,
    cpuMs: () => this.cpu,
    collect: () => {
      this.collected += 1;
      this.rss = this.live;
    },
  });

  idle(ticks = 1): void {
    for (let tick = 0; tick < ticks; tick++) this.collector.tick();
  }

  busy(): void {
    this.cpu += 500;
    this.collector.tick();
  }
}

describe("an idle collector", () => {
  test("tidies up after a rush, once there is nothing to do", () => {
    const it = new FakeProcess();
    it.rss = 500 * MB;
    it.busy();
    expect(it.collected).toBe(0);
    it.idle(5);
    expect(it.collected).toBe(1);
    it.collector.stop();
  });

  test("leaves a process alone that has grown little, or whose memory is all in use", () => {
    const it = new FakeProcess();
    it.rss += 20 * MB;
    it.idle(5);
    expect(it.collected).toBe(0);
    it.rss = it.live = 500 * MB;
    it.idle(20);
    expect(it.collected).toBe(1);
    it.collector.stop();
  });

  test("does so again after the next rush, measured against the tidy state", () => {
    const it = new FakeProcess();
    for (let rush = 1; rush <= 3; rush++) {
      it.rss = 300 * MB;
      it.busy();
      it.idle(5);
      expect(it.collected).toBe(rush);
    }
    it.collector.stop();
  });
});
