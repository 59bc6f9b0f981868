/** Networks, addresses, published ports, names: what a container has of them, and what its files say. */
import { openPairs, pairs, refused } from "./pairs.ts";

const callers = openPairs(["root"], "busybox", "featured", "nginx");
// The engines share the host's ports, and one pool of addresses.
const table = (...cases: Parameters<typeof pairs>[1]) => pairs(callers, cases, { inTurn: true });

const SLEEP = "busybox sleep 1000";

// Published ports.
table(
  `engine run -d --name one -p 8080:80 -p 8090-8091:90-91 ${SLEEP}; engine port one; engine port one 80; engine port one 90/tcp; engine port one 81; engine ps --format '{{.Ports}}'; engine port -a | wc -l; engine inspect -f '{{json .NetworkSettings.Ports}} {{json .HostConfig.PortBindings}}' one`,
  `engine run -d --name one -p 127.0.0.1:9000-9002:9000-9002/udp ${SLEEP}; engine port one 9001/udp; engine ps --format '{{.Ports}}'`,
  `engine run -d --name one -p 80 --expose 90-91 --expose 5/udp ${SLEEP}; engine port one | sed 's/:.*/:N/'; engine inspect -f '{{range $port, $at := .NetworkSettings.Ports}}{{$port}} {{len $at}};{{end}}' one`,
  "engine create --name one -P featured; engine inspect -f '{{range $port, $at := .NetworkSettings.Ports}}{{$port}} {{len $at}};{{end}}' one; engine create --name two featured; engine inspect -f '{{json .NetworkSettings.Ports}}' two; engine ps -a --format '{{.Names}}:{{.Ports}}' --filter name=two",
  "engine run -d --name one -p 8080:80 nginx; until curl -sf http://localhost:8080 >/dev/null; do sleep 0.1; done; curl -s http://localhost:8080 | grep title; until [ $(engine logs one 2>/dev/null | grep -c '\"GET / ') = 2 ]; do sleep 0.1; done; engine stop one; engine inspect -f '{{.State.ExitCode}} {{.Config.StopSignal}} {{json .Config.Entrypoint}} {{json .Config.Cmd}} {{.Path}} {{json .Args}}' one; curl -s http://localhost:8080; echo $?",
  "engine run --rm -p 80-81:90 busybox true; engine run --rm -p 99999:80 busybox true; engine run --rm -p 1.2.3:80:80 busybox true; engine run --rm -p a:80 busybox true; engine run --rm -p 80:80/icmp busybox true; engine run --rm -p 0:80 busybox true; engine run --rm -p :80 busybox true; engine create --expose x busybox",
  `engine run -d --name one -p 8080:80 ${SLEEP}; engine run --rm -p 8080:80 busybox true; echo $?; engine run -d --name two -p 127.0.0.1:8080:80 busybox true; echo $?; engine ps -a --format '{{.Names}} {{.State}}'`,
  {
    script: "engine run --rm -p 8080:80 -p 8080:81 busybox true",
    differs: {
      why: "what can be refused before anything is made is refused then, as by later podmans",
      podman: /^exit 126\n[\s\S]*address already in use/,
      portolan: /^exit 125\n[\s\S]*conflicting port mappings for host port 8080 \(protocol tcp\)/,
    },
  },
  `engine run -d --name one --network host -p 80:80 ${SLEEP} | wc -l; engine inspect -f '{{.HostConfig.NetworkMode}} {{json .NetworkSettings.Ports}} {{json .NetworkSettings.Networks}}' one; engine ps --format '{{.Ports}}|{{.Networks}}'`,
);

// No network, the host's, another container's, one that is there.
table(
  "engine run --rm --network none --hostname box --name one busybox sh -c 'ls /sys/class/net; cat /etc/hosts; cat /etc/resolv.conf; hostname'",
  "engine run --rm --network host busybox sh -c 'ls /sys/class/net | grep eth0; hostname; cat /etc/hosts; cat /etc/resolv.conf'",
  "engine run --rm --hostname '' busybox sh -c 'hostname | wc -c'",
  `engine run -d --name one --ip 10.88.5.5 ${SLEEP}; engine run --rm --network container:one --hostname box --name two busybox sh -c 'ip -4 addr show eth0 | grep inet; grep one /etc/hosts; cat /etc/resolv.conf; hostname'; engine create --name two --network container:one -p 80:80 busybox | wc -l; engine inspect -f '{{.NetworkSettings.IPAddress}} {{range $name, $one := .NetworkSettings.Networks}}{{$name}} {{$one.IPAddress}}{{end}}' one; engine rm one; engine rm -f -t 0 one; engine ps -a --format '{{.Names}}'`,
  "engine create --name one --network container:nope busybox; engine create --network ns:/nope busybox; engine create --network nope busybox; engine create --network none --network host busybox; engine create --network none --ip 1.2.3.4 busybox; engine create --network '' --name one busybox | wc -l",
  "ip netns add side; engine run --rm --network ns:/run/netns/side --name one busybox sh -c 'ls /sys/class/net; cat /etc/hosts'; engine create --name two --network ns:/run/netns/side busybox >/dev/null; engine inspect -f '{{.HostConfig.NetworkMode}}' two; ip netns del side",
);

// Addresses.
table(
  "engine run --rm --ip 10.88.5.5 --name one --hostname box --mac-address 92:d0:c6:0a:29:33 busybox sh -c 'cat /etc/hosts; ip -4 addr show eth0 | grep inet; cat /sys/class/net/eth0/address; ip route'",
  `engine run -d --name one --network-alias x --network-alias y --ip 10.88.5.5 --mac-address 92:d0:c6:0a:29:33 ${SLEEP}; engine inspect -f '{{json .NetworkSettings.Networks}}' one; engine inspect -f '{{.NetworkSettings.IPAddress}} {{.NetworkSettings.Gateway}} {{.NetworkSettings.IPPrefixLen}} {{.NetworkSettings.MacAddress}}' one; engine stop -t 0 one; engine inspect -f '{{.NetworkSettings.IPAddress}}|{{.NetworkSettings.SandboxKey}}' one`,
  "engine run --rm --ip bogus busybox true; engine run --rm --mac-address bogus busybox true",
  "engine run --rm --ip 10.77.0.1 busybox true",
  refused("engine run --rm --ip 10.88.0.1 busybox true", /requested ip 10\.88\.0\.1 is subnet's gateway/),
  refused(
    `engine run -d --name one --ip 10.88.5.5 ${SLEEP}; engine run --rm --ip 10.88.5.5 busybox true`,
    /requested IP address 10\.88\.5\.5 is not available/,
  ),
  "engine run --rm --network tiny busybox sh -c 'ip -4 addr show eth0 | grep inet; ip route; grep -c containers /etc/hosts'",
  refused(
    `engine run -d --name one --network tiny ${SLEEP}; engine inspect -f '{{.NetworkSettings.IPAddress}}|{{range $name, $one := .NetworkSettings.Networks}}{{$name}} {{$one.IPAddress}} {{$one.Gateway}} {{$one.IPPrefixLen}} {{$one.NetworkID}}{{end}} {{.HostConfig.NetworkMode}}' one; engine ps --format '{{.Networks}}'; engine run --rm --network tiny busybox true`,
    /no IP addresses available in range set: 10\.99\.0\.1-10\.99\.0\.2/,
  ),
  // podman takes the networks of a container in any order, and the host from any of them.
  `engine run -d --name one --network podman --network tiny ${SLEEP}; engine inspect -f '{{range $name, $one := .NetworkSettings.Networks}}{{$name}} {{end}}' one; engine exec one ls /sys/class/net; engine ps --format '{{.Networks}}' | tr , '\\n' | sort; engine exec one sort /etc/hosts | grep -v host.containers`,
);

// Files.
table(
  "engine run --rm --ip 10.88.5.5 --name one --hostname box --add-host x:1.2.3.4 --add-host y:::1 busybox cat /etc/hosts; engine run --rm --add-host bogus busybox true; engine run --rm --add-host x:bogus busybox true",
  "printf '127.0.0.1 localhost # c\\n1.1.1.1 a b\\n' >/etc/hosts; engine run --rm --ip 10.88.5.5 --name one --hostname box --add-host a:9.9.9.9 busybox cat /etc/hosts; printf '127.0.0.1\\tlocalhost\\n' >/etc/hosts",
  "engine run --rm --no-hosts busybox cat /etc/hosts; engine run --rm --no-hosts --add-host x:1.2.3.4 busybox true",
  "engine run --rm --dns 9.9.9.9 --dns 1.1.1.1 --dns-search example.com --dns-option ndots:3 busybox cat /etc/resolv.conf; engine run --rm --dns bogus busybox true; engine run --rm --network none --dns 1.1.1.1 busybox true; engine run --rm --dns none busybox cat /etc/resolv.conf; engine run --rm --dns-search . busybox cat /etc/resolv.conf",
  "printf 'nameserver 127.0.0.1\\nnameserver 8.8.8.8\\nsearch a.b\\noptions timeout:1\\n' >/etc/resolv.conf; engine run --rm busybox cat /etc/resolv.conf; engine run --rm --dns 1.1.1.1 busybox cat /etc/resolv.conf; printf 'nameserver 127.0.0.53\\n' >/etc/resolv.conf; engine run --rm busybox cat /etc/resolv.conf; engine run --rm --network host busybox cat /etc/resolv.conf; printf '' >/etc/resolv.conf; engine run --rm busybox cat /etc/resolv.conf; printf 'nameserver 192.168.77.1\\n' >/etc/resolv.conf",
  "engine run --rm busybox sh -c 'ls -l /run/.containerenv | cut -c1-10; cat /run/.containerenv'; engine run --rm --privileged --name one busybox sed 's/^engine=.*/engine/' /run/.containerenv",
  "engine run --rm busybox sh -c 'ls -l /etc/hosts /etc/hostname /etc/resolv.conf /etc/mtab | cut -c1-10; readlink /etc/mtab'; engine run --rm --read-only busybox sh -c 'echo x >>/etc/hosts; echo $?'",
  "engine run -d --name one nginx; engine exec one getent hosts host.containers.internal",
);

// Verbs.
table(
  "engine network ls; engine network ls -q; engine network ls --format '{{.Name}} {{.Driver}}'; engine network ls --filter name=ti; engine network ls --noheading; engine network ls --format json",
  "engine network inspect podman tiny; engine network inspect -f '{{.Name}} {{(index .Subnets 0).Subnet}}' podman; engine network inspect nope; engine network exists podman; echo $?; engine network exists nope; echo $?",
  `engine run -d --name one ${SLEEP}; engine ps -q --filter network=podman | wc -l; engine ps -q --filter network=tiny | wc -l; engine ps --ns | head -1`,
);
