/** What the tests use of dns-packet, which has no types of its own. */
declare module "dns-packet" {
  interface Question {
    type: string;
    name: string;
  }
  interface Message {
    type?: string;
    id?: number;
    flags?: number;
    rcode?: string;
    flag_tc?: boolean;
    questions?: Question[];
    answers?: (Question & { data: string; ttl?: number })[];
    additionals?: (Question & { udpPayloadSize: number; flags: number; options: unknown[] })[];
  }
  const packet: {
    RECURSION_DESIRED: number;
    RECURSION_AVAILABLE: number;
    encode(message: Message): Buffer;
    decode(data: Uint8Array): Message;
  };
  export default packet;
}
