/** One end of a flow. */
export interface Endpoint {
  family: 4 | 6;
  /** 4 or 16 bytes, network order. */
  address: Uint8Array;
  /** 0 where the protocol has no ports. */
  port: number;
}
