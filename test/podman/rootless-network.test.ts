/** An ordinary user's networks: what a container has of each mode, which ports it opens on the host, and what is refused. */
import { afterAll, beforeAll } from "bun:test";
import { Outside } from "../support/outside.ts";
import { openPairs, pairs, refused } from "./pairs.ts";

const callers = openPairs(["user"], "probe", "featured");
let outside: Outside;
beforeAll(async () => {
  outside = await Outside.open(callers[0]!.pair().host);
});
afterAll(() => outside?.[Symbol.dispose]());
// The engines share the host's ports and the user's networks.
const table = (...cases: Parameters<typeof pairs>[1]) => pairs(callers, cases, { inTurn: true });

const NAMED = "--name one --hostname box";
const SLEEP = "probe sleep 1000";
/** Addresses, MTUs, routes, and the files that tell of hosts and name servers; IPv6 is in `rootless-traffic.test.ts`. */
const LOOK =
  "sh -c 'ip -4 -br address; cd /sys/class/net; grep . */mtu; ip route; cat /etc/resolv.conf; grep -v fd00: /etc/hosts'";

// The user-mode network, which is the default.
table(
  `engine run --rm ${NAMED} probe ${LOOK}`,
  `engine run --rm ${NAMED} --network slirp4netns probe ${LOOK}`,
  `engine run --rm ${NAMED} --network slirp4netns:mtu=1500,enable_ipv6=false probe ${LOOK}`,
  `engine run --rm ${NAMED} --network slirp4netns:cidr=10.9.0.0/24,port_handler=rootlesskit probe ${LOOK}`,
  `engine run --rm ${NAMED} --network slirp4netns:outbound_addr=192.168.77.2,outbound_addr6=2001:db8::1 probe ${LOOK}`,
  "engine run --rm probe sh -c 'ip -6 -br address show tap0 | grep -c fd00:; ip -6 route | grep -c ^default'; engine run --rm --network slirp4netns:enable_ipv6=false probe sh -c 'ip -6 -br address show tap0 | grep -c fd00:; ip -6 route | grep -c ^default'",
  `engine run --rm --dns 9.9.9.9 --dns-search example.com --add-host x:1.2.3.4 ${NAMED} probe ${LOOK}`,
  "engine run --rm probe getent hosts www.example",
  `engine run -d --name one ${SLEEP}; engine inspect -f '{{.HostConfig.NetworkMode}} {{json .NetworkSettings.Networks}} {{.NetworkSettings.IPAddress}}|{{.NetworkSettings.Gateway}}|{{.NetworkSettings.MacAddress}}' one; engine ps --format '{{.Networks}}|{{.Ports}}'`,
);

// The host's own loopback.
table(
  ...["true", "false"].map(
    allowed =>
      `echo the host >page; busybox httpd -f -p 127.0.0.1:7002 & server=$!; until ss -Hlnt | grep -q :7002; do sleep 0.02; done; engine run --rm --network slirp4netns:allow_host_loopback=${allowed} probe curl -s http://10.0.2.2:7002/page; echo $?; kill $server`,
  ),
);

// None, the host's, another container's, one that is there, bridges.
table(
  `engine run --rm ${NAMED} --network none probe ${LOOK}`,
  `engine run --rm ${NAMED} --network host probe ${LOOK}`,
  `engine run -d ${NAMED} ${SLEEP}; engine run --rm --name two --network container:one probe sh -c 'ip -4 -br address; ip route; cat /etc/resolv.conf; hostname'; engine create --name three --network container:one probe >/dev/null; engine inspect -f '{{.NetworkSettings.IPAddress}}' three; engine rm one; engine ps -a --format '{{.Names}}' | sort`,
  `engine run --rm ${NAMED} --network bridge probe sh -c 'ip -4 -br address; ip route; grep . /sys/class/net/*/mtu; grep -v fd00: /etc/hosts'`,
  `engine network create --subnet 10.55.0.0/24 --gateway 10.55.0.9 foo; engine run --rm ${NAMED} --network foo --ip 10.55.0.77 --mac-address 92:d0:c6:0a:29:33 probe sh -c 'ip -4 -br address; cat /sys/class/net/eth0/address; ip route; grep . /sys/class/net/*/mtu; cat /etc/hosts'; engine network rm foo`,
  `engine network create --subnet 10.56.0.0/24 foo; engine run -d ${NAMED} --network foo -p 8080:80 ${SLEEP}; engine inspect -f '{{.HostConfig.NetworkMode}} {{json .NetworkSettings.Ports}} {{range $name, $one := .NetworkSettings.Networks}}{{$name}} {{$one.IPAddress}} {{$one.Gateway}} {{$one.IPPrefixLen}}{{end}}' one; engine ps --format '{{.Networks}}|{{.Ports}}'; engine rm -f -t 0 one; engine network rm foo`,
  "engine create --network container:nope probe; engine create --network ns:/nope probe; engine create --network nope probe",
);

/** Protocols and ports that somebody listens at on the host. */
const OPEN = `ss -Hlntu | awk '{ n = split($5, part, ":"); print $1, part[n] }' | sort -u`;

// Published ports. podman takes protocols in any order.
table(
  `engine run -d --name one -p 8080:80 -p 9000-9002:90-92/udp -p 127.0.0.1:8081:81 ${SLEEP}; ${OPEN}; ss -Hlnt sport = :8081 | awk '{ print $4 }'; engine port one | sort; engine ps --format '{{.Ports}}' | tr -s ', ' '\\n' | sort; engine rm -f -t 0 one; ${OPEN}`,
  `engine run -d --name one --network slirp4netns:port_handler=slirp4netns -p 8080:80 -p 8053:53/udp ${SLEEP}; ${OPEN}; engine port one | sort`,
  `engine run -d --name one -P featured >/dev/null; engine create --name two -P featured >/dev/null; engine inspect -f '{{range $port, $at := .NetworkSettings.Ports}}{{$port}} {{len $at}};{{end}}' two; engine run -d --name three -p 80 ${SLEEP} >/dev/null; engine port three | sed 's/:.*/:N/'; ss -Hlnt sport = :$(engine port three 80 | sed 's/.*://') | grep -q . && echo listens`,
  `engine run -d --name one -p '[::1]:8080:80' ${SLEEP}; ss -Hlnt sport = :8080 | awk '{ print $4 }'`,
  `engine run -d --name one -p 192.168.77.2:8080:80 ${SLEEP}; ss -Hlnt sport = :8080 | awk '{ print $4 }'; engine stop -t 0 one; ${OPEN}; engine start one; ${OPEN}`,
  refused(
    "engine run --rm -p 80:80 probe true; echo $?",
    /cannot expose privileged port 80, you can add 'net.ipv4.ip_unprivileged_port_start=80' to \/etc\/sysctl.conf \(currently 1024\), or choose a larger port number \(>= 1024\): listen tcp 0\.0\.0\.0:80: bind: permission denied/,
  ),
  refused(
    `engine run -d --name one -p 8080:80 ${SLEEP}; engine run --rm -p 8080:80 probe true; echo $?; engine ps -a --format '{{.Names}}'`,
    /listen tcp 0\.0\.0\.0:8080: bind: address already in use/,
  ),
  refused(
    `busybox httpd -f -p 8080 & server=$!; until ss -Hlnt | grep -q :8080; do sleep 0.02; done; engine run --rm -p 8080:80 probe true; echo $?; kill $server`,
    /listen tcp 0\.0\.0\.0:8080: bind: address already in use/,
  ),
);

// Refusals.
table(
  ...(
    [
      ["bogus=1", /unknown option for slirp4netns: "bogus=1"/],
      ["mtu=x", /invalid mtu "x"/],
      ["port_handler=x", /unknown port_handler for slirp4netns: "x"/],
      ["allow_host_loopback=x", /invalid value of allow_host_loopback for slirp4netns: "x"/],
      ["cidr=10.9.0.0/28", /prefix length needs to be 1-25/],
    ] as const
  ).map(([option, says]) => refused(`engine run --rm --network slirp4netns:${option} probe true`, says)),
  refused(
    "engine run --rm --mac-address 92:d0:c6:0a:29:33 probe true; echo $?; engine run --rm --ip 10.0.2.50 probe true",
    /can only be (set|used).* bridge/i,
  ),
);
