/** Watching containers: top by every descriptor, health checks, restart policies, coloured logs. */
import { openPairs, pairs, refused } from "./pairs.ts";

const callers = openPairs(["root", "user"], "busybox");
const table = (...cases: Parameters<typeof pairs>[1]) => pairs(callers, cases);
const SLEEP =
  "engine run -d --network none --name one busybox sh -c 'echo ready; exec sleep 1000' >/dev/null; ready one; until engine top one comm | grep -q sleep; do :; done";

// top. podman takes its processes' numbers on this nested host for unknown; it keeps a space behind arguments.
table(
  `${SLEEP}; for d in capamb capbnd capeff capinh capprm comm group nice pgid pid ppid rgroup ruser seccomp state tty user; do engine top one $d; done; engine top one args | sed 's/ *$//'; engine top one pid,user comm; engine top one 'pid user' | grep -v ' ps '; engine top one %G %P %U %c %g %n %p %r %u %y; engine top one PID Comm | grep -v ' ps '; for d in etime time pcpu rss vsz stime hpid huser hgroup label groups; do engine top one $d | head -1; done`,
  "engine run -d --network none --name one -u nobody:daemon --cap-add net_raw busybox sleep 1000 >/dev/null; engine exec one true; engine top one user group ruser capeff capamb | head -1; engine run -d --network none --privileged --name two busybox sleep 1000 >/dev/null; engine top -l state | tail -1",
);

// Health.
const HEALTH =
  "engine run -d --network none --name one --health-cmd 'test -e /ok' --health-interval 1h --health-retries 2 busybox sleep 1000 >/dev/null";
table(
  `${HEALTH}; engine healthcheck run one; echo $?; engine inspect -f '{{.State.Health.Status}} {{.State.Health.FailingStreak}} {{len .State.Health.Log}}' one; engine healthcheck run one; echo $?; engine inspect -f '{{.State.Health.Status}}' one; engine ps --format '{{.Status}}' | sed 's/.*(/(/'; engine exec one touch /ok; engine healthcheck run one; echo $?; engine inspect -f '{{.State.Health.Status}} {{.State.Health.FailingStreak}}' one; engine ps --filter health=healthy --format '{{.Names}}'`,
  "engine run -d --network none --name two busybox sleep 1000 >/dev/null; engine healthcheck run two; echo $?; engine healthcheck run nope; echo $?; engine create --name three --health-cmd true busybox >/dev/null; engine healthcheck run three; echo $?; engine healthcheck run; engine healthcheck run a b",
  refused("engine healthcheck >/dev/null", /missing command '(podman|portolan) healthcheck COMMAND'/),
);

// Restarted, as often as the policy says and not more.
const settled = (template: string, wanted: string, name: string) =>
  `until [ "$(engine inspect -f '${template}' ${name})" = "${wanted}" ]; do sleep 0.05; done; engine inspect -f '${template}' ${name}`;
table(
  `engine run -d --network none --name one --restart on-failure:2 busybox false >/dev/null; ${settled("{{.RestartCount}} {{.State.Status}} {{.State.ExitCode}}", "2 exited 1", "one")}`,
  `engine run -d --network none --name one --restart on-failure busybox true >/dev/null; ${settled("{{.RestartCount}} {{.State.Status}}", "0 exited", "one")}`,
  `engine run -d --network none --name one --restart unless-stopped busybox sleep 1000 >/dev/null; engine kill one; ${settled("{{.RestartCount}} {{.State.Status}}", "0 exited", "one")}; engine start one; engine stop -t 0 one; ${settled("{{.RestartCount}} {{.State.Status}}", "0 exited", "one")}`,
  `engine run -d --network none --name one --restart always busybox sleep 1000 >/dev/null; engine exec one sh -c 'kill -9 1' ; engine restart -t 0 one; engine inspect -f '{{.RestartCount}} {{.State.Status}}' one`,
);
pairs(
  [callers[0]!],
  [
    `engine run -d --network none --name one --restart always busybox sleep 1000 >/dev/null; kill -9 $(engine inspect -f '{{.State.Pid}}' one); ${settled("{{.RestartCount}} {{.State.Status}}", "1 running", "one")}`,
  ],
);

// Every field of ps, but for the numbers that are each engine's own.
const FIELDS = `tr -d ' \\n' | sed 's/"\\(Pid\\|StartedAt\\|Created\\|CreatedAt\\)":[^,}]*/"\\1"/g; s/:"Up[^"]*ago"/:"Up"/g'`;
table(
  `engine run -d --network none --name one -l a=b -v vol:/v busybox sleep 1000 >/dev/null; engine ps --format json | ${FIELDS}; engine create --network none --name two busybox true >/dev/null; engine ps -a --filter name=two --format json | ${FIELDS}`,
);

// Coloured.
table(
  "engine run --network none --name one busybox sh -c 'echo a; echo c'; engine logs --color -n one | cat -v; engine logs --color -t one | sed 's/20[^ ]*Z/T/' | cat -v",
  {
    script:
      "engine run --network none --name one busybox sh -c 'echo a; echo c'; engine run --network none --name two busybox echo d; engine logs --color one two | cat -v | sed 's,m,m ,'; engine logs --color -n one two | cat -v; engine logs --tail 1 one two",
    unordered: true,
  },
);
