/** A liveness probe as a health check that is run inside the container. */
import type { CreateOptions } from "../container/create-options.ts";
import type { Field } from "./fields.ts";

type Health = Pick<
  CreateOptions,
  "healthCmd" | "healthInterval" | "healthTimeout" | "healthStartPeriod" | "healthRetries"
>;

const DAY = 86_400;

/** Kubernetes' defaults: every 10 seconds, one second each, three failures. `httpGet` needs curl in the image and `tcpSocket` nc, as Podman's do. */
export function planProbe(container: Field): Health {
  const probe = container.at("livenessProbe");
  if (!probe.given) return {};
  const words = testOf(probe, container);
  if (!words) return {};
  const seconds = (name: string, fallback: number, least: number) =>
    `${probe.at(name).integer(least, DAY) || fallback}s`;
  return {
    healthCmd: JSON.stringify(words),
    healthInterval: seconds("periodSeconds", 10, 0),
    healthTimeout: seconds("timeoutSeconds", 1, 0),
    healthStartPeriod: seconds("initialDelaySeconds", 0, 0),
    healthRetries: probe.at("failureThreshold").integer(0, 1000) || 3,
  };
}

function testOf(probe: Field, container: Field): string[] | undefined {
  const exec = probe.at("exec").at("command").texts();
  if (exec.length > 0) return ["CMD", ...exec];
  const http = probe.at("httpGet");
  if (http.given) {
    const scheme = (http.at("scheme").word(["HTTP", "HTTPS"]) ?? "HTTP").toLowerCase();
    const host = http.at("host").text() ?? "localhost";
    const url = `${scheme}://${host}:${portOf(http.at("port"), container)}${http.at("path").text() ?? "/"}`;
    return ["CMD-SHELL", `curl -f ${quoted(url)} || exit 1`];
  }
  const tcp = probe.at("tcpSocket");
  if (tcp.given) {
    const host = tcp.at("host").text() ?? "localhost";
    return ["CMD-SHELL", `nc -z -v ${quoted(host)} ${portOf(tcp.at("port"), container)} || exit 1`];
  }
  return undefined;
}

/** For sh(1). */
const quoted = (text: string) =>
  /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;

/** A number, or the name of one of the container's ports. */
function portOf(field: Field, container: Field): number {
  if (typeof field.value === "number") return field.integer(1, 65_535)!;
  const name = field.needed();
  if (/^\d{1,5}$/.test(name)) return Number(name);
  const port = container
    .at("ports")
    .list()
    .find(one => one.at("name").text() === name);
  if (!port) throw field.refuse(`no port of the container is named ${JSON.stringify(name)}`);
  return port.at("containerPort").integer(1, 65_535) ?? 0;
}
