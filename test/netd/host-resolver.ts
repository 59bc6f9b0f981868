/** A resolver of the host's, for tests: it answers by UDP and by TCP, or errs, or is silent. */
import packet from "dns-packet";
import type { TestNetns } from "../support/netns.ts";

export interface HostResolver extends AsyncDisposable {
  asked: number;
}

/** A resolver that knows every name as `address`, or answers with an error, or never. */
export async function resolver(
  place: TestNetns,
  hostname: string,
  answer: string | "SERVFAIL" | "silence",
): Promise<HostResolver> {
  const state = { asked: 0 };
  const respond = (query: Buffer): Buffer | undefined => {
    state.asked++;
    const { id, questions } = packet.decode(query);
    if (answer === "silence") return undefined;
    const question = questions![0]!;
    const failed = answer === "SERVFAIL";
    const response = packet.encode({
      type: "response",
      id,
      flags: packet.RECURSION_DESIRED | packet.RECURSION_AVAILABLE | (failed ? 2 : 0),
      questions,
      answers: failed ? [] : [{ type: "A", name: question.name, data: answer, ttl: 1 }],
    });
    return response;
  };
  const { datagrams } = place.run(() => ({
    datagrams: Bun.udpSocket({
      hostname,
      port: 53,
      socket: {
        data(socket, data, port, address) {
          const response = respond(data);
          if (response) socket.send(response, port, address);
        },
      },
    }),
  }));
  const socket = await datagrams;
  const streams = place.run(() =>
    Bun.listen({
      hostname,
      port: 53,
      socket: {
        data(connection, data) {
          const response = respond(data.subarray(2));
          if (!response) return;
          const framed = Buffer.alloc(response.length + 2);
          framed.writeUInt16BE(response.length);
          response.copy(framed, 2);
          connection.end(framed);
        },
      },
    }),
  );
  return {
    get asked() {
      return state.asked;
    },
    async [Symbol.asyncDispose]() {
      socket.close();
      streams.stop(true);
    },
  };
}
