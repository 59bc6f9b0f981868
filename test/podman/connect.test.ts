/** Containers between networks: connect, disconnect, several from the start, reload. */
import { openPairs, pairs, refused } from "./pairs.ts";

const callers = openPairs(["root", "user"], "busybox");
/** Networks made by a case that are still there, and their bridges: root's, and those of users. */
const AFTER = `rm -f /etc/cni/net.d/n*.conflist /home/*/.config/cni/net.d/*.conflist /run/containers/cni/*
for bridge in $(ls /sys/class/net | grep 'cni-podman[1-9]'); do ip link del $bridge; done`;
const table = (...cases: Parameters<typeof pairs>[1]) =>
  pairs(callers.slice(0, 1), cases, { inTurn: true, after: AFTER });
/** For an ordinary user too; when he leaves one network, podman takes all interfaces from his container. */
const everybody = (...cases: Parameters<typeof pairs>[1]) =>
  pairs(callers, cases, { inTurn: true, after: AFTER });

// Connecting and disconnecting.
const TWO = "engine network create --subnet 10.20.0.0/24 n1; engine network create --subnet 10.21.0.0/24 n2";
const ONE = `${TWO}; engine run -d --name one --hostname box --network n1:ip=10.20.0.5 busybox sleep 1000`;
/** What a person sees of a running container's networks; an interface has a line with name, address and MAC. */
const SHOW = `engine inspect -f '{{json .NetworkSettings.Networks}} {{.HostConfig.NetworkMode}}' one; engine exec one ip -o -4 addr | awk '!/ lo / { print $2, $4 }' | sort; engine exec one cat /etc/hosts | grep -v host.containers | sort; engine ps -a --format '{{.Networks}}' | tr , '\\n' | sort`;
table(
  `${ONE}; engine network connect --ip 10.21.0.6 n2 one; echo $?; ${SHOW}; engine network disconnect n1 one; echo $?; ${SHOW}; engine exec one ip route | sed 's/ *metric.*//; s/ *$//'; engine network disconnect n1 one`,
  `${ONE}; engine network connect --ip 10.21.0.77 --alias x,y --alias z --mac-address 92:d0:c6:0a:29:33 n2 one; ${SHOW}; engine exec one cat /sys/class/net/eth1/address; engine network connect n2 one; engine network disconnect n1 one; engine network connect --ip 10.20.0.9 n1 one; ${SHOW}`,
  `${ONE}; engine exec one sh -c 'printf "1.2.3.4\\tmine\\n" >>/etc/hosts'; engine network connect --ip 10.21.0.6 n2 one; ${SHOW}; engine network disconnect -f n2 one; ${SHOW}`,
  "engine network create n1; engine network connect n1 nope; engine network connect n1; engine network connect; engine network connect a b c; engine network connect nope nope; engine network disconnect n1; engine network disconnect n1 nope; engine network disconnect -f n1 nope; engine network disconnect nope nope",
  `${ONE}; for option in --ip --ip6 --mac-address; do engine network connect $option bogus n2 one; done; engine network connect nope one; engine network disconnect nope one; engine network disconnect podman one; engine network connect --ip 10.88.0.5 n2 one`,
  ...["none", "host"].map(mode =>
    refused(
      `${TWO}; engine run -d --name one --network ${mode} busybox sleep 1000 | wc -c; engine network connect n1 one; echo $?; engine network disconnect n1 one`,
      /is not supported: invalid network mode/,
    ),
  ),
  refused(
    `${ONE}; engine network connect --ip 10.21.0.1 n2 one`,
    /requested ip 10\.21\.0\.1 is subnet's gateway/,
  ),
);

// Several networks from the start, each with its own.
table(
  `${TWO}; engine create --network n1:bogus=1 busybox; engine create --network n1:ip=x busybox; engine create --network n1:mac=x busybox; engine create --network n1,podman:ip=1.2.3.4 busybox; engine create --network n1:interface_name=a --network podman:interface_name=a busybox; engine create --network n1 --network podman --ip 10.20.0.6 busybox; engine create --network none --network-alias c busybox; engine ps -aq`,
  `${TWO}; engine create --network n1 --network n1:alias=foo --name two busybox | wc -c; engine inspect -f '{{json .NetworkSettings.Networks}}' two; engine create --network n1: --network podman:ip=10.88.0.44 --network-alias c --name five busybox | wc -c; engine inspect -f '{{json .NetworkSettings.Networks}}' five`,
);

// The default network, events, a ruleset that somebody emptied.
table(
  `engine network create --subnet 10.20.0.0/24 --subnet fd20::/64 n1; engine run -d --name one --ip 10.88.5.5 busybox sleep 1000; engine network connect --ip 10.20.0.9 --ip6 fd20::9 n1 one; engine exec one sh -c 'ip addr show eth1 | grep -v fe80 | grep -o "inet6* [^ ]*"; ip -6 route | grep default | wc -l; grep fd20 /etc/hosts | cut -f1'`,
  "engine network create n1; engine run -d --name one busybox sleep 1000; engine network connect n1 one; engine network disconnect n1 one; engine network rm n1; engine events --stream=false --filter type=network | tail -2; engine events --stream=false --filter type=network --format json | tail -2",
  "get='curl -s -m 1 -o out http://127.0.0.1:8080'; engine run -d --name one -p 8080:80 busybox httpd -f; until $get; do sleep 0.05; done; nft flush ruleset; $get || echo closed; engine network reload one; $get && echo open",
);

// Stopped containers, none left, interface names, reload; the published port leads to the network that is left.
everybody(
  "engine network create --label a=b n1; engine network inspect n1; engine network ls -f label=a; engine run -d --name one --network n1 busybox sleep 100; engine network rm n1; echo $?; engine network rm -f -t 0 n1; engine ps -aq; engine network create --label x=1 n2; engine network prune -f --filter label=x; engine network ls -q",
  `${TWO}; engine create --name one --hostname box --network n1:ip=10.20.0.5 busybox sleep 1000 | wc -c; engine network connect --ip 10.21.0.77 --alias x n2 one; engine inspect -f '{{json .NetworkSettings.Networks}}' one; engine start one; ${SHOW}; engine stop -t 0 one; engine network disconnect n2 one; engine network disconnect n2 one; engine network connect n2 one; engine network connect n2 one; engine inspect -f '{{json .NetworkSettings.Networks}}' one; engine ps -a -q --filter network=n2 | wc -l`,
  `${ONE}; engine network disconnect n1 one; ${SHOW}; engine stop -t 0 one; engine start one; ${SHOW}; engine network connect --ip 10.21.0.6 n2 one; ${SHOW}`,
  `${TWO}; engine run -d --name one --hostname box --network n1:ip=10.20.0.5,alias=x,interface_name=in0 --network n2:mac=92:d0:c6:0a:29:33,ip=10.21.0.9,interface_name=in1 busybox sleep 1000; engine inspect -f '{{json .NetworkSettings.Networks}}' one; engine exec one ip -o -4 addr | awk '{ print $2, $4 }' | sort; engine exec one grep box /etc/hosts | sort; engine exec one cat /sys/class/net/in1/address`,
  `${ONE}; engine network reload one; echo $?; engine network reload -a; engine network reload nope; engine network reload; engine network reload -a one; engine create --name two busybox | wc -c; engine network reload two; engine network reload -l; engine run -d --name three --network host busybox sleep 1000; engine network reload three; engine network reload one two; ${SHOW}`,
  `get='curl -s -m 1 -o out http://127.0.0.1:8080'; ${TWO}; engine run -d --name one -p 8080:80 --network n1 busybox httpd -f; until $get; do sleep 0.05; done; engine network connect n2 one; engine network disconnect n1 one; $get && echo open; engine port one`,
);
