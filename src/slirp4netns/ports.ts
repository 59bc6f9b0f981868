/** The ports that the API has opened: numbered from 1 on, kept as orders of the supervisor's. */
import { MAX_DESCRIPTORS } from "../netd/control.ts";
import { bindPorts } from "../netd/port-sockets.ts";
import type { Supervisor } from "../netd/supervisor.ts";
import { closeFd } from "../sys/fd.ts";
import { parseIP } from "../wire/addr.ts";
import type { ApiRequest, HostForward } from "./api-request.ts";
import { portFailure, unknownId } from "./api-socket.ts";

export class Ports {
  private readonly forwards = new Map<number, HostForward>();
  private nextId = 1;

  /** `guest`: where ports lead that name no address. */
  constructor(
    private readonly supervisor: Supervisor,
    private readonly tap: string,
    private readonly guest: string,
  ) {}

  /** Carries out a request; what it gives is the answer. Throws `ApiError`. */
  async handle(request: ApiRequest): Promise<object> {
    switch (request.execute) {
      case "add_hostfwd":
        return { return: { id: await this.add(request.forward) } };
      case "remove_hostfwd":
        await this.remove(request.id);
        return { return: {} };
      case "list_hostfwd": {
        // The manual has the list inside `return`, the program has always had it at the top.
        const entries = this.list();
        return { return: { entries }, entries };
      }
    }
  }

  private async add(forward: HostForward): Promise<number> {
    const settings = { ...forward, guestAddr: forward.guestAddr || this.guest };
    const id = this.nextId++;
    try {
      const fds = bindPorts({
        protocol: settings.proto,
        hostAddress: parseIP(settings.hostAddr)!,
        hostPort: settings.hostPort,
        count: settings.count,
      });
      await this.publish(id, settings, fds);
    } catch (error) {
      throw portFailure("add_hostfwd", error);
    }
    this.forwards.set(id, settings);
    return id;
  }

  /** One order for as many ports as one message carries, one after the other; all are in force, or none. */
  private async publish(id: number, settings: HostForward, fds: readonly number[]): Promise<void> {
    const parts = chunks(settings, fds);
    for (const [index, part] of parts.entries()) {
      try {
        const order = { op: "ports" as const, key: keyOf(id, index), tap: this.tap, settings: part.settings };
        await this.supervisor.keep(order, part.fds);
      } catch (error) {
        for (let before = 0; before < index; before++) await this.supervisor.remove(keyOf(id, before));
        for (const { fds } of parts.slice(index + 1)) for (const fd of fds) closeFd(fd);
        throw error;
      }
    }
  }

  private async remove(id: number): Promise<void> {
    const forward = this.forwards.get(id);
    if (!forward) throw unknownId(id);
    this.forwards.delete(id);
    const orders = Math.ceil(forward.count / MAX_DESCRIPTORS);
    await Promise.all(Array.from({ length: orders }, (_, index) => this.supervisor.remove(keyOf(id, index))));
  }

  private list(): object[] {
    return [...this.forwards].map(([id, forward]) => ({
      id,
      proto: forward.proto,
      host_addr: forward.hostAddr,
      host_port: portText(forward.hostPort, forward.count),
      guest_addr: forward.guestAddr,
      guest_port: portText(forward.guestPort, forward.count),
    }));
  }
}

const keyOf = (id: number, index: number) => `ports ${id}.${index}`;

function chunks(settings: HostForward, fds: readonly number[]) {
  const parts: { settings: HostForward; fds: readonly number[] }[] = [];
  for (let at = 0; at < fds.length; at += MAX_DESCRIPTORS) {
    const some = fds.slice(at, at + MAX_DESCRIPTORS);
    const { hostPort, guestPort } = settings;
    const part = { hostPort: hostPort + at, guestPort: guestPort + at, count: some.length };
    parts.push({ settings: { ...settings, ...part }, fds: some });
  }
  return parts;
}

/** As it was asked for: a number, or a range as text. */
function portText(first: number, count: number): number | string {
  return count === 1 ? first : `${first}-${first + count - 1}`;
}
