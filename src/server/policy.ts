import { assert } from "../proto/index.ts";
import { formatIp } from "../runtime/address.ts";
import { OwnAddresses } from "./own-addresses.ts";
import { embeddedIpv4, type PolicyRule, type PortRange, parsePolicyRule } from "./policy-rule.ts";
import { SPECIAL_RANGES } from "./special-ranges.ts";

/** Whether a client may reach an address, and the rule that decided, in words for the log. */
export interface Decision {
  readonly permitted: boolean;
  readonly rule: string;
}

/** Rules as the operator wrote them after `--allow` and `--deny`: `CIDR[:ports]` each. */
export interface PolicyTexts {
  readonly allow: readonly string[];
  readonly deny: readonly string[];
}

/** Decides between rules of equal prefix length: the higher one wins. */
const RANK = { special: 0, allow: 1, deny: 2 } as const;

interface RankedRule {
  readonly rank: number;
  readonly ports: readonly PortRange[] | undefined;
  readonly decision: Decision;
}

/** A node of the binary tree of prefixes: one child per next bit, and the rules whose prefix ends here, best first. */
interface PrefixNode {
  zero: PrefixNode | undefined;
  one: PrefixNode | undefined;
  rules: readonly RankedRule[];
}

const UNRULED: Decision = { permitted: true, rule: "no rule speaks against it" };

/**
 * Which addresses clients may reach through this server.
 *
 * Of the rules that cover address and port the one with the longest prefix decides; at equal length `--deny` beats
 * `--allow`, and both beat the built-in table of special ranges, or nobody could open exactly 10.0.0.0/8. A rule with
 * ports covers those ports only: for any other port the next shorter rule decides. What no rule covers is permitted.
 *
 * Addresses of this machine that no rule covers are denied, public as they may be: what listens on them is often meant
 * for whoever comes from outside through a firewall, and who dials them from here has passed that by.
 *
 * Judge the address that will be connected to, never the name it came from (DNS rebinding).
 */
export class DestinationPolicy {
  readonly #ipv4 = emptyNode();
  readonly #ipv6 = emptyNode();
  readonly #own: OwnAddresses;

  /** Throws UsageError for a text that is not `CIDR[:ports]`. */
  constructor({ allow, deny }: PolicyTexts, own = new OwnAddresses()) {
    this.#own = own;
    for (const { prefix, name, source } of SPECIAL_RANGES) {
      const rule = parsePolicyRule(prefix, "special range");
      this.#insert(rule, RANK.special, { permitted: false, rule: `${prefix} (${name}, ${source})` });
    }
    for (const text of allow) {
      this.#insert(parsePolicyRule(text, "--allow"), RANK.allow, {
        permitted: true,
        rule: `--allow ${text}`,
      });
    }
    for (const text of deny) {
      this.#insert(parsePolicyRule(text, "--deny"), RANK.deny, { permitted: false, rule: `--deny ${text}` });
    }
  }

  /**
   * Judges an address of 4 or 16 bytes and a port of 1 to 65535. IPv4-mapped, IPv4-compatible and NAT64 addresses are
   * judged as the IPv4 address inside, which is where the connection would end.
   */
  decide(address: Uint8Array, port: number): Decision {
    assert(
      address.length === 4 || address.length === 16,
      `an address has 4 or 16 bytes, got ${address.length}`,
    );
    const judged = embeddedIpv4(address) ?? address;
    const ruled = this.#ruled(judged, port);
    const own = ruled === UNRULED ? this.#own.rangeOf(judged) : undefined;
    if (own === undefined) return ruled;
    const perhaps = this.knowsMachine ? "" : "perhaps ";
    return { permitted: false, rule: `${formatIp(own.address)}/${own.length} (${perhaps}this machine)` };
  }

  /** Whether the addresses of this machine are known. Until they are, only what `--allow` opens is permitted. */
  get knowsMachine(): boolean {
    return this.#own.known;
  }

  /** The decision of the rule with the longest prefix. */
  #ruled(judged: Uint8Array, port: number): Decision {
    let node: PrefixNode | undefined = judged.length === 4 ? this.#ipv4 : this.#ipv6;
    let ruled = UNRULED;
    for (let bit = 0; node !== undefined; bit++) {
      const rule = node.rules.find(({ ports }) => covers(ports, port));
      if (rule !== undefined) ruled = rule.decision;
      node = bitAt(judged, bit) === 0 ? node.zero : node.one;
    }
    return ruled;
  }

  #insert({ address, length, ports }: PolicyRule, rank: number, decision: Decision): void {
    let node = address.length === 4 ? this.#ipv4 : this.#ipv6;
    for (let bit = 0; bit < length; bit++) {
      if (bitAt(address, bit) === 0) node = node.zero ??= emptyNode();
      else node = node.one ??= emptyNode();
    }
    node.rules = [...node.rules, { rank, ports, decision }].sort((a, b) => b.rank - a.rank);
  }
}

function emptyNode(): PrefixNode {
  return { zero: undefined, one: undefined, rules: [] };
}

/** The bit at `index`, 0 past the end: the deepest nodes have no children, so what it says there is not used. */
function bitAt(bytes: Uint8Array, index: number): number {
  return ((bytes[index >> 3] ?? 0) >> (7 - (index & 7))) & 1;
}

function covers(ports: readonly PortRange[] | undefined, port: number): boolean {
  return ports === undefined || ports.some(({ low, high }) => port >= low && port <= high);
}
