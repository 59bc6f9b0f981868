/** A name server of one name for tests: `www.example` is 192.168.77.1; every other name is nobody's. */
import packet from "dns-packet";
import type { TestNetns } from "./netns.ts";

export async function serveNames(place: TestNetns, hostname: string): Promise<Disposable> {
  const { opening } = place.run(() => ({
    opening: Bun.udpSocket({
      hostname,
      port: 53,
      socket: {
        data(socket, message, port, address) {
          const { id, questions = [] } = packet.decode(message);
          const [question] = questions;
          const known = question?.name === "www.example";
          const answers =
            known && question.type === "A" ? [{ ...question, ttl: 60, data: "192.168.77.1" }] : [];
          // An answer that may recurse; 3 is NXDOMAIN.
          const flags = known ? 0x8180 : 0x8183;
          const answer = packet.encode({
            ...(id === undefined ? {} : { id }),
            type: "response",
            flags,
            questions,
            answers,
          });
          socket.send(answer, port, address);
        },
      },
    }),
  }));
  const socket = await opening;
  return { [Symbol.dispose]: () => socket.close() };
}
