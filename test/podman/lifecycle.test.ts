/** Verbs on containers: start stop restart kill rm wait attach logs exec top port prune, and what they refuse. */
import { openPairs, pairs, refused } from "./pairs.ts";

const callers = openPairs(["root", "user"], "busybox");
const table = (...cases: Parameters<typeof pairs>[1]) => pairs(callers, cases);

const SLEEP = "engine run -d --name one busybox sleep 1000";
/** A container that ends with 5 on SIGTERM and with 6 on SIGUSR1, once its log says `ready`. */
const TRAP = `engine run -d --name one busybox sh -c 'trap "exit 5" TERM; trap "exit 6" USR1; echo ready; while :; do sleep 0.05; done'; ready one`;

// From created to gone.
table(
  "engine create --name one busybox echo hi; engine inspect -f '{{.State.Status}} {{.State.Running}} {{.State.Pid}}' one; engine start one; engine wait one; engine logs one; engine start -a one; engine inspect -f '{{.State.Status}} {{.State.ExitCode}}' one",
  "engine create -i --name one busybox sh -c 'cat; exit 4'; echo in | engine start -ai one; echo $?",
  `${TRAP}; engine stop one; engine wait one; engine stop one; engine ps -a --format '{{.Names}} {{.Status}}'`,
  `${SLEEP}; engine stop -t 0 one; engine wait one; engine inspect -f '{{.State.ExitCode}} {{.State.OOMKilled}}' one`,
  `${SLEEP}; engine stop -t 1 one; engine wait one`,
  `${TRAP}; engine kill -s USR1 one; engine wait one; engine kill one; engine kill -s BOGUS one`,
  `${SLEEP}; engine kill one; engine wait one; engine container kill --signal 9 one`,
  `${SLEEP}; engine restart -t 0 one; engine inspect -f '{{.State.Status}} {{.RestartCount}}' one; engine stop -t 0 one; engine restart one; engine ps --format '{{.Names}}'`,
  `${SLEEP}; engine rm one; echo $?; engine rm -f -t 0 one; echo $?; engine ps -aq`,
  "engine create --name one busybox true; engine stop one; engine kill one; engine restart one; engine wait one",
  "engine create --name one busybox >/dev/null; engine create --name two busybox >/dev/null; engine rm one nope two; echo $?; engine ps -a --format '{{.Names}}'; engine rm one two | sort; engine ps -aq",
  "engine create --name one busybox >/dev/null; engine create --name two busybox >/dev/null; engine rm -a | wc -l; engine ps -aq",
  "engine create --cidfile f busybox true >/dev/null; engine rm --cidfile f >/dev/null; echo $?; engine rm --cidfile g; echo $?; engine ps -aq",
  "engine rm -f nope; echo $?; engine rm -i nope; echo $?; engine stop -i nope; echo $?; engine rm -t 3 nope; echo $?",
  "engine create --name one busybox >/dev/null; engine container prune -f | wc -l; engine container ls -aq; engine container prune -f --filter bogus=1",
  "engine run -d --name one busybox true; engine run -d --name two busybox sh -c 'exit 2'; engine wait one two; engine wait --condition exited one; engine wait --condition bogus one; engine wait -l",
  'engine run --rm -d --name one busybox sleep 2 >/dev/null; engine wait one; until [ -z "$(engine ps -aq)" ]; do sleep 0.05; done',
  "engine create --name one busybox >/dev/null; id=$(engine ps -aq); engine inspect -f '{{.Name}}' $(echo $id | cut -c1-6); engine rm $(echo $id | cut -c1-6) | wc -l; engine ps -aq",
  `${SLEEP}; engine container ls -q | wc -l; engine container exists one; echo $?; engine container exists nope; echo $?; engine container inspect -f '{{.Name}}' one; engine container logs one; engine container top one pid; engine container stop -t 0 one; engine container start one; engine container rm -f -t 0 one`,
  "engine create --name one busybox sleep 100 >/dev/null; engine create --name two busybox sleep 100 >/dev/null; engine start -a two one; engine start --all | wc -l; engine stop -t 0 --all | wc -l; engine ps -q",
);

// Output.
table(
  "engine run -d --name one busybox sh -c 'echo one; echo two; echo three' >/dev/null; engine wait one; engine logs --tail 1 one; engine logs --tail 0 one; engine logs -n one; engine logs --since 1h one; engine logs --until 1h one; engine logs --since bogus one",
  "engine run --name one busybox sh -c 'printf no-newline'; engine logs one; echo; engine logs -t one | cut -d' ' -f2-; engine run --name two busybox sh -c 'echo err >&2'; engine logs two 2>&1 >/dev/null",
  "engine run -d --name one busybox sh -c 'for i in 1 2 3; do echo $i; sleep 0.2; done' >/dev/null; engine logs -f one",
  {
    script:
      "engine run --name one busybox echo A; engine run --name two busybox echo B; engine logs one two; engine logs --names one two",
    unordered: true,
  },
  "engine run --name one --log-opt max-size=1k --log-opt path=/tmp/log busybox echo hi; engine inspect -f '{{.HostConfig.LogConfig.Type}} {{.HostConfig.LogConfig.Path}}' one; engine run --log-opt bogus busybox true",
  {
    script:
      "engine run -di --name one busybox sh -c 'echo ready; read x; echo got $x; exit 6'; ready one; echo hi | engine attach one; echo $?",
    differs: {
      why: "the exit code is passed on, as by run and by Docker's attach; podman ends with 0 and an empty line",
      podman: /got hi\n\n0$/,
      portolan: /got hi\n6$/,
    },
  },
  "engine run -d --name one busybox sh -c 'read x; echo got $x'; engine wait one; engine attach one; engine logs one",
  "engine create --name one busybox; engine attach one; engine top one; engine exec one true; echo $?; engine port one",
);

// exec.
table(
  `${SLEEP}; engine exec one sh -c 'echo out; echo err >&2; exit 9'; echo $?; engine exec one /nope; echo $?; engine exec one /etc; echo $?; engine exec one nope; echo $?`,
  "engine run -d --name one -e A=1 -w /tmp -u nobody busybox sleep 100; engine exec one sh -c 'id -u; pwd; echo $A $HOME'; engine exec -u root -w / -e A=2 -e B one sh -c 'id -u; pwd; echo $A $B $HOME'; engine exec -w /nope one pwd; echo $?; engine exec -u nobodyknows one id; echo $?",
  `${SLEEP}; engine exec one env | sort; printf 'X=1\\nY\\n' >f; engine exec --env-file f one env | grep -c X=1; engine exec --env-file nope one env`,
  `${SLEEP}; echo in | engine exec -i one cat; echo in | engine exec one cat; engine exec one; engine exec; engine exec --bogus one true`,
  `${SLEEP}; engine exec -d one touch /made | wc -c; until engine exec one ls /made 2>/dev/null; do sleep 0.05; done; engine exec -t one tty; engine exec --privileged one grep CapEff /proc/self/status; engine exec one grep Cap /proc/self/status`,
  "engine run -d --name one -u nobody --cap-add net_raw busybox sleep 100; engine exec one grep Cap /proc/self/status; engine exec -u root one grep Cap /proc/self/status",
  `${SLEEP}; head -c 3000000 /dev/zero | engine exec -i one wc -c; engine exec one head -c 3000000 /dev/zero | wc -c; engine exec -l echo latest`,
);

// top.
table(
  `${SLEEP}; until engine top one | grep -q sleep; do :; done; engine top one | head -1; engine top one pid args user; engine top one pid,ppid,comm; engine top -l pid; engine top one -eo pid,args | head -2`,
);

// What is refused before anything is done.
table(
  "for verb in kill stop rm restart wait logs port attach; do engine $verb nope; echo $?; done; engine exec nope true; echo $?; engine inspect nope; echo $?",
  refused("engine top nope", /no container with name or ID "nope" found: no such container/),
  "for verb in start stop rm kill restart wait logs inspect port top attach; do engine $verb; done",
  "for verb in start stop logs; do engine $verb -l; done; engine stop -a x; engine rm -a x",
  "engine run --bogus busybox; engine ps --bogus; engine ps -Z; engine run -e; engine ps --last x; engine rm -f=x",
  refused("engine bogus", /^\w+: Error: unrecognized command `(podman|portolan) bogus`/),
  refused("engine container bogus", /unrecognized command `(podman|portolan) container bogus`/),
  "engine ps extra; engine version extra; engine info extra; engine volume ls extra; engine events extra",
);
