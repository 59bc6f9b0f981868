/** Pods: create ps inspect start stop restart kill rm prune exists, containers in them, and what is refused. */
import { openPairs, pairs, refused } from "./pairs.ts";

const callers = openPairs(["root"], "busybox");
const users = openPairs(["user"], "busybox");
const table = (...cases: Parameters<typeof pairs>[1]) => pairs(callers, cases);

const SLEEP = "busybox sleep 1000";
/** A pod `web` in which `one` and `two` run. */
const TWO = `engine pod create --name web >/dev/null; for name in one two; do engine run -d --name $name --pod web ${SLEEP} >/dev/null; done`;
const ONE = `engine pod create --name web >/dev/null; engine run -d --name one --pod web ${SLEEP} >/dev/null`;
const STATUS = "engine pod ps --format '{{.Name}} {{.Status}} {{.NumberOfContainers}}'";
const MEMBERS = "engine ps -a --pod --format '{{.Names}} {{.Status}} {{.PodName}}' | sed 's/(\\w*)//'";
/** The order of what is shared is any with podman. */
const WHOLE = `grep -vE '^ *"(uts|net|ipc)",?$'`;

// What a pod is told to be.
table(
  "engine pod create --name web -p 8080:80 --label a=b; engine pod ps; engine ps -a --pod; engine ps -a",
  `engine pod create --name web -p 8080:80 --label a=b >/dev/null; engine pod inspect web | ${WHOLE}; engine pod ps --format json`,
  `engine pod create --name web --infra=false; engine pod inspect web; engine pod ps; engine run --name one --pod web busybox true; engine inspect -f '{{.HostConfig.NetworkMode}} {{.HostConfig.UTSMode}} {{.Dependencies}}' one; ${STATUS}`,
  `engine pod create --name a --share none; engine pod inspect a | grep Infra; engine pod create --name b --share ipc; engine pod inspect b | sed -n '/Shared/,/]/p'; engine run --rm --pod b busybox hostname | wc -c`,
  `engine pod create --name h --network host; engine pod inspect h | ${WHOLE}; engine create --name one --pod h busybox >/dev/null; engine inspect -f '{{.HostConfig.NetworkMode}} {{.Config.Hostname}} {{len .Dependencies}}' one`,
  "engine pod create --name n --network none >/dev/null; engine run --rm --pod n busybox sh -c 'ls /sys/class/net; hostname'",
  "engine pod create --name web --infra-name holder >/dev/null; engine ps -a --format '{{.Names}} {{.Command}} {{.IsInfra}}'; engine pod create --infra-name holder",
  "engine pod create --name one >/dev/null; engine pod create --replace --name one | wc -c; engine pod ps --format '{{.Name}}'; engine pod create --replace",
  "engine pod create --pod-id-file f --name one; cat f | wc -c; engine run --rm --pod-id-file f busybox hostname; engine pod create --pod-id-file f; engine pod rm --pod-id-file f; engine pod ps -q",
  "engine pod create --name v -v /tmp:/v --sysctl net.ipv4.ip_default_ttl=42 --device /dev/null:/dev/nn >/dev/null; engine run --rm --pod v busybox sh -c 'cat /proc/sys/net/ipv4/ip_default_ttl; ls -d /v /dev/nn'",
);

// Life.
table(
  `${TWO}; ${STATUS}; ${MEMBERS}; engine pod stop -t 0 web | wc -c; ${STATUS}; ${MEMBERS}; engine pod start web | wc -c; ${STATUS}; engine pod kill web | wc -c; ${STATUS}; engine pod rm web | wc -c; engine ps -aq`,
  `${TWO}; engine stop -t 0 one; ${STATUS}; engine start one; ${STATUS}; engine rm -f -t 0 one; engine rm -f -t 0 two; ${STATUS}; engine pod stop web >/dev/null; ${STATUS}`,
  `${TWO}; engine kill one; engine wait one; ${STATUS}; engine restart -t 0 one; ${STATUS}`,
  `${TWO}; engine stop $(engine pod inspect -f '{{.InfraContainerID}}' web) | wc -c; ${STATUS}`,
  "engine pod create --name web >/dev/null; engine create --name one --pod web busybox hostname >/dev/null; engine start -a one; engine pod ps --format '{{.Status}}'; engine ps --format '{{.IsInfra}}'",
  `engine pod create --name web --exit-policy stop >/dev/null; engine run -d --name one --pod web busybox sleep 0.2 >/dev/null; until [ "$(engine pod ps --format '{{.Status}}')" = Exited ]; do sleep 0.05; done; ${MEMBERS}`,
  `${TWO}; engine pod rm -f -t 0 web | wc -c; echo $?; engine ps -aq; engine pod create a | wc -c; engine pod create b | wc -c; engine pod rm -a | wc -l`,
  `${TWO}; engine pod prune -f; engine pod stop -t 0 -a >/dev/null; engine pod prune -f | wc -l; engine pod ps -q`,
  `engine pod create --name web --infra-image busybox --infra-command 'sleep 1000' >/dev/null; engine pod start web | wc -c; engine ps -a --format '{{.Image}} {{.IsInfra}}'; ${STATUS}`,
  "engine pod create --name web --share pid,net >/dev/null; engine run -d --name one --pod web busybox sleep 1000 >/dev/null; engine exec one ps -o comm | grep -c -E 'catatonit|sleep'; engine pod rm -f -t 0 web | wc -c",
  "engine pod create --name web >/dev/null; engine run -d --name server --pod web busybox sh -c 'echo hello >/index.html; httpd -f -p 127.0.0.1:80' >/dev/null; engine run --rm --pod web busybox sh -c 'until wget -qO- http://127.0.0.1 2>/dev/null; do sleep 0.02; done'",
  "engine pod create --name web >/dev/null; engine run --rm --pod web busybox sh -c 'echo shared >/dev/shm/f'; engine run --rm --pod web busybox cat /dev/shm/f; engine run --rm --pod web --network none --uts private busybox sh -c 'ls /sys/class/net; hostname | wc -c'",
);

// Frozen; a new pod for one container.
table(
  `${ONE}; engine pod pause web | wc -c; ${STATUS}; engine ps -a --format '{{.Status}}'; engine pod unpause web | wc -c; ${STATUS}`,
  `engine run --rm --pod new:web busybox hostname; ${STATUS}; engine run --rm --pod new:web busybox true; engine pod ps -q | wc -l`,
);

// Limits of all together.
table(
  `engine pod create --name web --cpus 0.5 --memory 64m --cpu-shares 100 --cpuset-cpus 0 >/dev/null; engine pod inspect web | sed -n '/NumContainers/,$p' | grep -v -E 'Id|Name|State'; engine pod inspect -f '{{.CPUQuota}} {{.MemoryLimit}} {{.CPUSetCPUs}}' web; engine run -d --name one --pod web ${SLEEP} >/dev/null; group=$(engine pod inspect -f '{{.CgroupPath}}' web); for file in memory/memory.limit_in_bytes memory/memory.memsw.limit_in_bytes cpu/cpu.cfs_quota_us cpu/cpu.shares cpuset/cpuset.cpus; do cat /sys/fs/cgroup/\${file%%/*}$group/\${file#*/}; done; cat /sys/fs/cgroup/memory$group/libpod-*/cgroup.procs | grep -q . && echo limited`,
);

// What its containers say and do; who knows whom.
const TALK = `engine pod create --name web >/dev/null; engine run -d --name one --pod web busybox sh -c 'echo A; echo B; echo ready; exec sleep 1000' >/dev/null; engine run -d --name two --pod web busybox sh -c 'echo C; echo ready; exec sleep 1000' >/dev/null; ready one; ready two`;
table(
  `${TALK}; engine pod logs web | sort -k2; engine pod logs -n web | sort; engine pod logs -c one web; engine pod logs --tail 1 web; engine pod logs -c nope web; engine pod logs web x 2>/dev/null || echo refused; engine pod logs nope; engine pod logs`,
  `${TALK}; engine pod top web pid args | grep -v catatonit | sed 's/ *$//'; engine pod top web | head -1; engine pod stop -t 0 web >/dev/null; engine pod top web; engine pod top`,
  `${TALK}; engine exec one sort /etc/hosts; engine rm -f -t 0 two; engine exec one sort /etc/hosts; engine exec one ping -c 1 -W 1 one | grep -c '1 packets received'`,
  `${ONE}; engine rm -a 2>&1 | grep -c improper; engine rm -f -t 0 -a | wc -l; engine pod ps -q; engine ps -aq`,
);

// What only one of them can have at a time.
pairs(
  callers,
  [
    `engine pod create --ip 10.88.200.9 --mac-address 92:d0:c6:0a:29:33 --dns 1.2.3.4 --dns-search foo --dns-opt ndots:2 --add-host a:1.2.3.4 --hostname hn full; engine pod inspect full | ${WHOLE}; engine run --rm --pod full busybox cat /etc/hosts /etc/resolv.conf /etc/hostname | grep -v 127.0.0.1; engine run --rm --pod full busybox ip -o addr show eth0 | grep -c 10.88.200.9`,
    `engine run -d --pod new:web -p 8080:80 --name one --hostname hh ${SLEEP} | wc -c; engine pod inspect -f '{{.Hostname}} {{.State}} {{.InfraConfig.PortBindings}}' web; engine exec one hostname; engine ps --format '{{.Names}} {{.Ports}}'; engine port one`,
  ],
  { inTurn: true },
);

// Lists.
table(
  `engine pod create --name web >/dev/null; engine pod start web >/dev/null; engine pod create --name other --label x=y >/dev/null; engine pod ps; engine pod ps --ctr-names --ctr-ids --ctr-status; engine pod ps --ns --noheading; engine pod ps -q | wc -c; engine pod ps --no-trunc; engine pod ls --format '{{.Id}} {{.InfraId}} {{.Networks}} {{.Labels}} {{.Cgroup}} {{.ContainerNames}}'; engine pod list --sort name --format '{{.Name}}'`,
  `${TWO}; engine pod create --name other --label x=y >/dev/null; for filter in name=web name=oth id=zz label=x label=x=z status=running status=created ctr-number=1 ctr-number=3 ctr-status=running network=podman until=1h; do echo $filter; engine pod ps --filter $filter --format '{{.Name}}'; done; engine ps -a --filter pod=web --format '{{.IsInfra}} {{.Names}}' | grep -v infra; engine ps -a --filter pod=nope -q`,
  `${TWO}; engine pod exists web; echo $?; engine pod exists nope; echo $?; engine pod inspect -f '{{.ID}} {{.Name}} {{.NumContainers}} {{.State}} {{.ExitPolicy}}' web; engine pod inspect -l -f '{{.Name}}'; engine inspect --type pod -f '{{.Name}}' web; engine inspect -f '{{.Pod}} {{.IsInfra}}' one; engine pod inspect web web | head -3; engine pod inspect web nope | tail -1`,
  "engine pod ps --filter bogus=1; engine pod ps --filter status=bogus; engine pod ps --sort bogus; engine pod ps extra",
);

// What is refused.
table(
  "for verb in start stop restart kill rm; do engine pod $verb; engine pod $verb nope; echo $?; done; engine pod inspect; engine pod inspect nope; engine pod stop -i nope; engine pod rm -i nope; engine pod rm -f nope; engine pod rm -t 3 nope; engine pod kill -s BOGUS nope",
  "for flag in '-p 80' '--network none' '--dns 1.1.1.1' '--dns-opt x' '--add-host a:1.2.3.4' '--no-hosts' '--ip 10.88.0.5' '--network-alias x' '--share ipc'; do engine pod create --infra=false $flag; done; engine pod ps -q",
  "engine pod create --share bogus; engine pod create --share cgroup; engine pod create --network host -p 80:80; engine pod create --network none -p 80:80; engine pod create --network nope; engine pod create -p bogus; engine pod create --ip bogus; engine pod create --dns bogus; engine pod create --memory 5x; engine pod create --exit-policy bogus; engine pod create --name 'b b'; engine pod create --hostname 'a b'; engine pod create one two; engine pod create --name x y; engine pod create --no-hosts --add-host a:1.2.3.4; engine pod create --pid bogus --share pid; engine pod create --label-file nope; engine pod create --bogus",
  "engine pod create --name one >/dev/null; engine pod create --name one; engine run --name one busybox true; engine create --name two busybox >/dev/null; engine pod create --name two; engine pod create --infra-name two",
  "engine pod create --name web >/dev/null; for flag in '-p 80:80' -P '--ip 10.88.0.9' '--network-alias x' '--add-host a:1.2.3.4' '--hostname x' '--userns host'; do engine run --rm --pod web $flag busybox true; echo $?; done; engine ps -aq | wc -l; engine run --pod nope busybox true; engine run --pod new: busybox true; engine run --pod web --pod-id-file f busybox true; engine start nope",
  "engine pod create --name web >/dev/null; engine rm -f $(engine ps -aq) 2>&1 | sed 's/^Error: //'; engine pod start web >/dev/null; engine rm -f $(engine ps -aq); engine ps -q | wc -l",
  "engine pod create --name web --infra=false >/dev/null; engine pod start web",
  "engine pod create --name web --infra-command /bin/x >/dev/null; engine pod start web 2>&1 | grep -c 'no such file'; engine pod ps --format '{{.Status}}'",
  {
    script: `${TWO}; engine stop -t 0 one >/dev/null; engine pod rm web; echo $?; ${MEMBERS}`,
    differs: {
      why: "a pod that can't be removed stays whole, and one line says why; podman removes those containers that it can",
      podman: /errors? occurred[\s\S]*as it is running/,
      portolan: /^exit 0\n125\n<id>-infra Up[\s\S]*Error: removing container .* as it is running/,
    },
  },
  refused("engine pod top nope", /no pod with name or ID nope found: no such pod/),
  refused("engine pod bogus", /unrecognized command `(podman|portolan) pod bogus`/),
);

// An ordinary user's.
pairs(users, [
  `engine pod create --name web --label a=b; engine pod ps; engine ps -a --pod; engine pod inspect web | ${WHOLE} | grep -v Cgroup`,
  `${TWO}; ${STATUS}; ${MEMBERS}; engine stop -t 0 one; ${STATUS}; engine exec two sh -c 'hostname; ls /sys/class/net'; engine pod stop -t 0 web | wc -c; ${STATUS}; engine pod start web | wc -c; ${STATUS}; engine pod rm -f -t 0 web | wc -c; engine ps -aq`,
  {
    script: "engine pod create --memory 64m; echo $?",
    differs: {
      why: "a limit that nothing would enforce is refused; podman passes it over",
      podman: /^exit 0\n<ID>\n0/,
      portolan: /^exit 0\n125\n[\s\S]*no control groups/,
    },
  },
  "engine pod create --name one >/dev/null; engine run --rm --pod one busybox sh -c 'id -u; hostname'; engine run --rm --pod one -p 80:80 busybox true; engine pod rm one | wc -c",
]);
pairs(
  users,
  [
    `engine run -d --pod new:web -p 8080:80 --name one busybox sh -c 'echo hello >/index.html; exec httpd -f' | wc -c; until wget -qO- http://127.0.0.1:8080 2>/dev/null; do sleep 0.05; done; engine port one; engine ps --format '{{.Ports}}'`,
  ],
  { inTurn: true },
);
