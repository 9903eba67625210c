import type { Contestant } from "./contestant.ts";
import { direct, microsocks } from "./direct.ts";
import { floor } from "./floor.ts";
import { rvpn } from "./rvpn.ts";
import { shadowsocks } from "./shadowsocks.ts";
import { ssh, sshGcm } from "./ssh.ts";
import { v2ray } from "./v2ray.ts";
import { chisel, wstunnel } from "./websocket-tools.ts";

/** Everything that the benchmark knows to start, in the order of the tables. */
export const CONTESTANTS: readonly Contestant[] = [
  direct,
  microsocks,
  floor,
  ssh,
  sshGcm,
  shadowsocks,
  v2ray,
  chisel,
  wstunnel,
  rvpn,
];

/** What ratios refer to, because figures do not carry from one machine to another. */
export const BASE = sshGcm.name;
