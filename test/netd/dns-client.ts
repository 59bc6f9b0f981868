/** Asking a resolver, from an address of a namespace, without waiting in the kernel. */
import packet from "dns-packet";
import type { TestNetns } from "../support/netns.ts";

export interface Question {
  server: string;
  name: string;
  type?: string;
  /** The address that it is asked from. */
  from?: string;
  /** EDNS: bytes that may be answered by UDP. */
  size?: number;
}

/** An answer in words. */
export interface Heard {
  rcode: string;
  /** Of all answers, sorted. */
  data: string[];
  cut: boolean;
}

const ID = 4711;

export function encodeQuestion({ name, type = "A", size }: Question): Uint8Array<ArrayBuffer> {
  const encoded = packet.encode({
    type: "query",
    id: ID,
    flags: packet.RECURSION_DESIRED,
    questions: [{ type, name }],
    additionals: size ? [{ type: "OPT", name: ".", udpPayloadSize: size, flags: 0, options: [] }] : [],
  });
  const buffer = new Uint8Array(new ArrayBuffer(encoded.length));
  buffer.set(encoded);
  return buffer;
}

function read(message: Uint8Array): Heard {
  const { id, rcode, answers, flag_tc } = packet.decode(message);
  if (id !== ID) throw new Error(`an answer to ${id}, and not to ${ID}`);
  return { rcode: rcode!, data: (answers ?? []).map(one => `${one.data}`).sort(), cut: flag_tc! };
}

/** By UDP. */
export function ask(place: TestNetns, question: Question): Promise<Heard> {
  return new Promise((resolve, reject) => {
    const { socket } = place.run(() => ({
      socket: Bun.udpSocket({
        hostname: question.from ?? (question.server.includes(":") ? "::" : "0.0.0.0"),
        connect: { hostname: question.server, port: 53 },
        socket: {
          data(client, data) {
            client.close();
            resolve(read(data));
          },
          error: (_, error) => reject(error),
        },
      }),
    }));
    socket.then(client => client.send(encodeQuestion(question)), reject);
  });
}

/** All questions by one TCP connection, at once; the answers in the order in which they came. */
export function askByTcp(place: TestNetns, server: string, ...questions: string[]): Promise<Heard[]> {
  const framed = questions.map(name => {
    const message = encodeQuestion({ server, name });
    return Buffer.concat([Buffer.of(message.length >> 8, message.length & 0xff), message]);
  });
  let heard = Buffer.alloc(0);
  const answers: Heard[] = [];
  return new Promise((resolve, reject) => {
    place.run(() => {
      Bun.connect({
        hostname: server,
        port: 53,
        socket: {
          open: socket => void socket.write(Buffer.concat(framed)),
          data(socket, data) {
            heard = Buffer.concat([heard, data]);
            while (heard.length >= 2 && heard.length >= 2 + heard.readUInt16BE(0)) {
              answers.push(read(heard.subarray(2, 2 + heard.readUInt16BE(0))));
              heard = heard.subarray(2 + heard.readUInt16BE(0));
            }
            if (answers.length < questions.length) return;
            resolve(answers);
            socket.end();
          },
          close: () => reject(new Error(`the connection ended after ${answers.length} answers`)),
          connectError: (_socket, error) => reject(error),
        },
      }).catch(reject);
    });
  });
}
