/** A packet on its way, and what is told of the way so far. */
import type { NamespaceView } from "../network/namespace-view.ts";
import type { Code, Hop, Place, Verdict } from "./facts.ts";
import type { World } from "./world.ts";

export interface Packet {
  place: Place;
  destination: string;
  port?: number | undefined;
  protocol: "tcp" | "udp";
  /** "" until it is sent; `internet4` and `internet6` for somebody in the world. */
  source: string;
  /** Name of the link that it came in by; "" where it was sent here. */
  arrivedBy: string;
  /** It goes to a published port. */
  published: boolean;
  /** How it starts anew where it is refused; absent where a refusal is the end. */
  otherwise?: Packet | undefined;
}

export interface Stop {
  verdict: Verdict;
}
export const stop = (code: Code, text: string, ...advice: string[]): Stop => ({
  verdict: { code, text, advice },
});

export class Walker {
  readonly hops: Hop[] = [];
  constructor(
    readonly world: World,
    readonly packet: Packet,
  ) {}

  /** `place`: a namespace, or the network service. */
  hop(place: Place, text: string): void {
    this.hops.push({ place: this.world.ownerOf(place)?.name ?? place, text });
  }

  get view(): NamespaceView | null {
    return this.world.find(this.packet.place);
  }
}
