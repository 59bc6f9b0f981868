/** `run` and `create`: what a container's process is, sees and may use, by every flag. */
import { type Case, openPairs, pairs, refused } from "./pairs.ts";

const callers = openPairs(["root", "user"], "busybox", "featured");
/** Limits of a user's container on this machine, whose control groups are version 1: never his to set. */
const unlimited = (flags: string): Pick<Case, "differs"> => ({
  differs: {
    why: "a limit that nothing enforces is refused; podman goes on without it",
    podman: /Resource limits are not supported and ignored on cgroups V1 rootless systems/,
    portolan: new RegExp(`Error: ${flags}: this machine gives you no control groups`),
  },
});
const table = (...cases: Parameters<typeof pairs>[1]) => pairs(callers, cases);

// Exit codes and streams.
table(
  "engine run --rm --network none --entrypoint env --unsetenv FROM_IMAGE --unsetenv TERM -e A=1 featured | sort | grep -v HOSTNAME; engine run --rm --network none --entrypoint /bin/env --unsetenv-all -e A=1 featured | sort | grep -v HOSTNAME",
  "engine create --arch amd64 --os linux --pull never busybox | wc -c; engine create --arch amd64 --platform linux/amd64 --pull never busybox",
  "engine run --rm busybox sh -c 'echo out; echo err >&2; exit 42'",
  "engine run --rm busybox sh -c 'kill -9 $$'",
  "engine run --rm busybox /nope",
  "engine run --rm busybox /etc",
  "engine run --rm busybox nope",
  "engine run -d --rm busybox /nope",
  "engine run --rm -t busybox sh -c 'tty; echo $TERM'",
  "echo hello | engine run --rm -i busybox cat; echo hello | engine run --rm busybox cat",
  "engine run --rm -a stdout busybox sh -c 'echo out; echo err >&2'; engine run --rm -a bogus busybox true",
  "engine run --rm -it busybox true </dev/null",
  "engine run -it; engine create",
  "engine run --rm --timeout 1 busybox sleep 100; echo $?",
  "engine run --rm --systemd=false busybox echo started; engine run --rm --systemd=maybe busybox true",
  "engine run --rm --systemd=always busybox mount | grep -E 'on /(run|run/lock|tmp|var/log/journal) ' | cut -d' ' -f1-5 | sort",
);

// Names, labels, replacement.
table(
  "engine run --rm --name one --hostname box busybox sh -c 'hostname; echo $HOSTNAME'",
  {
    script: "engine run --rm --hostname box busybox wc -c /etc/hostname",
    differs: {
      why: "a text file's last line has an end, as later podmans write it",
      podman: /^exit 0\n3 /,
      portolan: /^exit 0\n4 /,
    },
  },
  "engine create --name one busybox true; engine create --name one busybox; engine create --replace --name one busybox; engine create --replace busybox",
  "engine create --name 'bad name' busybox; engine create --name a/b busybox; engine create --name '' busybox",
  "engine create --name one --label x=1 -l y -l z= busybox; engine inspect -f '{{json .Config.Labels}}' one; engine create -l =x busybox",
  "printf 'a=1\\n# c\\n b=2\\nc\\n' >f; engine create --name one --label-file f busybox; engine inspect -f '{{json .Config.Labels}}' one; engine create --label-file nope busybox",
  "engine create --name one --annotation a=b --annotation c=d busybox; engine inspect -f '{{.Config.Annotations.a}} {{.Config.Annotations.c}}' one; engine create --annotation bogus busybox",
  "engine run --cidfile f --name one busybox true; wc -c <f; engine run --cidfile f busybox true; engine inspect -f '{{.HostConfig.ContainerIDFile}}' one",
);

// The environment, whose order podman leaves to chance.
table(
  "engine run --rm -e A=1 -e B= -e HOME -e C busybox env | sort",
  "A=host; export A; engine run --rm -e A -e 'PAT*' -e =x busybox env; engine run --rm -e A -e 'PAT*' busybox env | sort | grep -v ^PATH",
  "printf 'A=1\\n#c\\n\\nB=two words\\nC\\n D=x\\nE=\"q\"\\n' >f; engine run --rm --env-file f -e A=2 busybox env | sort; engine run --rm --env-file nope busybox env",
  "http_proxy=x engine run --rm busybox sh -c 'echo $http_proxy'; http_proxy=x engine run --rm --http-proxy=false busybox sh -c 'echo $http_proxy'",
  "engine run --rm -t -e TERM=vt100 -e HOSTNAME=me busybox env | tr -d '\\r' | sort",
);

// Program, directory, user.
table(
  "engine run --rm --entrypoint echo busybox a b; engine run --rm --entrypoint '[\"echo\",\"x\"]' busybox a; engine run --rm --entrypoint '' busybox echo z",
  "engine run --rm --entrypoint '' busybox",
  "engine run --rm -w /tmp busybox pwd; engine run --rm -w /made/up busybox pwd; echo $?; engine run --rm -w /etc/passwd busybox pwd; echo $?; engine run --rm -v /tmp:/m -w /m/sub busybox pwd",
  "engine run --rm -u nobody busybox id; engine run --rm -u 12:34 busybox id; engine run --rm -u nobody:root busybox sh -c 'id; echo $HOME; umask'",
  "engine run --rm -u nobodyknows busybox id; engine run --rm -u 0:nogroups busybox id",
  "engine run --rm --user 1234 -w /tmp busybox sh -c 'id; cat /etc/passwd; echo $HOME'; engine run --rm -u 5:6 busybox sh -c 'cat /etc/group'",
  "engine run --rm --group-add 7 --group-add nogroup busybox id",
  refused("engine run --rm --group-add nope busybox id", /unable to find group nope/i),
  "engine run --rm --umask 077 busybox sh -c umask; engine run --rm --umask 9 busybox true",
  'engine run --rm --init busybox sh -c \'cat /proc/1/comm; ls /run/podman-init; tr "\\0" " " </proc/1/cmdline\'; engine run --rm --init --pid host busybox true',
  "engine run --rm --tz Europe/Berlin busybox date +%Z; engine run --rm --tz Bogus/Zone busybox true",
);

// What an image says, and what is said against it.
table(
  "engine run --rm featured; engine run --rm featured with arguments; engine run --rm --entrypoint pwd featured; engine run --rm --entrypoint id featured",
  "engine run --rm --entrypoint env featured | sort; engine run --rm --entrypoint sh featured -c 'stat -c \"%U %a\" . /data; ls /etc/opt; df /data | grep -c data'",
  "engine create --name one -l both=flag featured >/dev/null; engine inspect -f '{{json .Config.Labels}} {{.Config.StopSignal}} {{.Config.User}} {{.Config.WorkingDir}} {{.Config.Entrypoint}} {{json .Config.Cmd}} {{json .Config.Healthcheck}} {{len .Mounts}}' one; engine volume ls -q | wc -l; engine rm one >/dev/null; engine volume ls -q | wc -l",
  "engine create --name one --image-volume tmpfs featured >/dev/null; engine create --name two --image-volume ignore featured >/dev/null; engine inspect -f '{{len .Mounts}}' one two; engine run --rm --image-volume tmpfs --entrypoint grep featured -c 'tmpfs /data' /proc/mounts",
  "engine create --name one --no-healthcheck --stop-signal 9 --user root featured >/dev/null; engine inspect -f '{{json .Config.Healthcheck.Test}} {{.Config.StopSignal}} {{.Config.User}}' one",
);

// Volumes, binds, tmpfs.
table(
  "mkdir d; echo x >d/f; engine run --rm -v $PWD/d:/m busybox sh -c 'cat /m/f; touch /m/g'; ls d; engine run --rm -v ./d:/m:ro busybox touch /m/h; ls d",
  "engine run --rm -v vol:/m busybox sh -c 'echo 1 >/m/f'; engine run --rm -v vol:/n busybox cat /n/f; engine volume ls",
  "engine run --rm -v /anon busybox grep -c anon /proc/mounts; engine volume ls -q | wc -l; engine run --name one -v /anon busybox true; engine volume ls -q | wc -l; engine rm one; engine volume ls -q | wc -l",
  "engine run --name one -v /anon -v named:/n busybox true; engine rm -v one; engine volume ls -q",
  "engine run --rm -v copied:/etc busybox ls /etc; engine run --rm -v bare:/etc:nocopy busybox ls /etc | grep -c group",
  "mkdir d; engine run --rm --mount type=bind,source=$PWD/d,target=/m,ro busybox grep ' /m ' /proc/mounts | cut -d' ' -f4 | cut -d, -f1; engine run --rm --mount type=bind,src=$PWD/d,dst=/m,bind-propagation=rslave busybox grep -c master /proc/self/mountinfo",
  "engine run --rm --mount type=tmpfs,target=/m,tmpfs-size=1m,tmpfs-mode=700 busybox sh -c 'grep \" /m \" /proc/mounts; stat -c %a /m'",
  "engine run --rm --mount type=volume,source=v,destination=/m busybox ls -d /m; engine run --rm --mount type=volume,src=v,dst=/m,ro=true busybox touch /m/x; engine volume ls -q",
  "engine run --rm --mount type=bogus,target=/m busybox true; engine run --rm --mount type=bind,target=/nope busybox true; engine run --rm --mount type=bind,src=/tmp busybox true; engine run --rm --mount type=tmpfs,src=/tmp,dst=/x busybox true",
  "engine run --rm --tmpfs /t busybox grep ' /t ' /proc/mounts; engine run --rm --tmpfs /t:size=1m,mode=1700,noexec busybox sh -c 'grep \" /t \" /proc/mounts; stat -c %a /t'; engine run --rm --tmpfs /t:bogus busybox true",
  "engine run --name one -v shared:/s -v /tmp:/y:ro busybox true; engine run --rm --volumes-from one busybox sh -c 'ls -d /s /y; touch /y/x'; engine run --rm --volumes-from nope busybox true",
  "engine run --rm -v /x:/y:bogus busybox true; engine run --rm -v /tmp:rel busybox true; engine run --rm -v /nope:/x busybox true; engine run --rm -v /tmp:/x:ro,rw busybox true; engine run --rm -v 'bad name:/x' busybox true; engine run --rm -v a:b:c:d busybox true; engine run --rm -v /tmp:/x -v vol:/x busybox true",
  "mkdir d; engine run --rm -u nobody -v $PWD/d:/m:U busybox touch /m/f; stat -c %u d d/f",
  "engine run --rm --read-only busybox sh -c 'touch /x; touch /tmp/x /run/x /var/tmp/x /dev/shm/x; echo $?'; engine run --rm --read-only --read-only-tmpfs=false busybox touch /tmp/x",
  {
    script: "engine run --rm busybox cat /proc/mounts | awk '{print $2, $3}' | sort",
    asUser: {
      differs: {
        why: "where nobody gives a group, podman binds a part of the host's groups, and Portolan all that there is of them",
        podman: /^exit 0\n(?![\s\S]*unified)[\s\S]*\/sys\/fs\/cgroup\/memory cgroup/,
        portolan: /^exit 0\n[\s\S]*\/sys\/fs\/cgroup\/memory cgroup/,
      },
    },
  },
);

// Capabilities, seccomp, devices.
table(
  "engine run --rm busybox grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status; engine run --rm -u nobody busybox grep ^Cap /proc/self/status",
  "engine run --rm --cap-add net_raw --cap-add CAP_SYS_TIME --cap-drop chown busybox grep ^Cap /proc/self/status; engine run --rm --cap-add all busybox grep ^Cap /proc/self/status",
  "engine run --rm --cap-drop all busybox grep ^Cap /proc/self/status; engine run --rm --cap-drop all --cap-add chown -u nobody busybox grep ^Cap /proc/self/status",
  "engine run --rm --cap-add bogus busybox true; engine run --rm --cap-add chown --cap-drop chown busybox true",
  "engine run --rm --privileged busybox sh -c 'grep -E \"^(Cap|Seccomp:)\" /proc/self/status; ls /dev; touch /proc/sys/kernel/domainname'; engine run --rm --privileged -u nobody busybox grep ^Cap /proc/self/status",
  "engine run --rm --security-opt no-new-privileges busybox grep ^NoNewPrivs /proc/self/status; engine run --rm --security-opt seccomp=unconfined busybox grep ^Seccomp: /proc/self/status",
  "engine run --rm --security-opt seccomp=/nope busybox true; engine run --rm --security-opt bogus busybox true",
  "engine run --rm --security-opt mask=/proc/uptime:/proc/version --security-opt unmask=/proc/kcore busybox sh -c 'cat /proc/uptime /proc/version; wc -c </proc/keys'; engine run --rm --security-opt unmask=ALL busybox sh -c 'grep -c /proc/ /proc/mounts'",
  "engine run --rm busybox sh -c 'ls /dev; ls -l /dev/fd /dev/stdin /dev/ptmx | sed \"s/.* //\"'",
  "engine run --rm --device /dev/fuse busybox ls -l /dev/fuse | cut -c1-28; engine run --rm --device /dev/zero:/dev/x:r busybox sh -c 'head -c2 /dev/x | wc -c; echo 1 >/dev/x'",
  "engine run --rm --device /nope busybox true; engine run --rm --device /dev/fuse:/dev/x:bogus busybox true; engine run --rm --device /etc/passwd busybox true",
);

// Limits and namespaces.
table(
  // Without its own list of limits podman asks for more processes than this machine may give.
  "engine run --rm --ulimit nofile=100:200 --ulimit core=0 --ulimit nproc=50 busybox sh -c 'ulimit -n; ulimit -Hn; ulimit -c'",
  "engine run --rm --ulimit bogus=1 busybox true; engine run --rm --ulimit nofile=x busybox true; engine run --rm --ulimit nofile=9:5 busybox true",
  {
    script:
      "engine run --rm -m 64m --memory-swap 128m --memory-reservation 32m busybox sh -c 'cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes memory/memory.soft_limit_in_bytes memory.max memory.low 2>/dev/null'",
    asUser: unlimited("--memory, --memory-swap, --memory-reservation"),
  },
  {
    script:
      "engine run --rm --cpus 0.5 --cpu-shares 512 --cpuset-cpus 0 busybox sh -c 'cd /sys/fs/cgroup; cat cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us cpu/cpu.shares cpuset/cpuset.cpus cpu.max cpuset.cpus 2>/dev/null'",
    asUser: unlimited("--cpus, --cpu-shares(, --cpuset-cpus)?"),
  },
  {
    script:
      "engine run --rm --pids-limit 10 busybox sh -c 'cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null'; engine run --rm --pids-limit -1 busybox sh -c 'cat /sys/fs/cgroup/pids/pids.max'; engine run --rm busybox sh -c 'cat /sys/fs/cgroup/pids/pids.max'",
    asUser: unlimited("--pids-limit"),
  },
  {
    script:
      "engine run --rm --memory lots busybox true; engine run --rm --cpus x busybox true; engine run --rm --pids-limit x busybox true; engine run --rm -m 64m --memory-swap 32m busybox true; engine run --rm --shm-size x busybox true",
    asUser: {
      differs: {
        why: "what nothing enforces may not contradict itself either",
        podman: /Resource limits are not supported/,
        portolan: /minimum memoryswap limit should be larger/,
      },
    },
  },
  "engine run --rm --oom-score-adj 100 busybox cat /proc/self/oom_score_adj; engine run --rm --sysctl net.ipv4.ip_forward=1 --shm-size 1m busybox sh -c 'cat /proc/sys/net/ipv4/ip_forward; grep /dev/shm /proc/mounts'",
  "engine run --rm --sysctl kernel.panic=1 busybox true; engine run --rm --sysctl bogus busybox true",
  "engine run --rm busybox sh -c 'cat /proc/sys/net/ipv4/ping_group_range; umask; ulimit -n'",
  {
    script:
      'engine run -d --name one busybox sleep 100; engine run --rm --pid container:one busybox sh -c \'tr "\\0" " " </proc/1/cmdline\'; engine run --rm --ipc host --uts host busybox hostname; engine run --rm --pid bogus busybox true; engine run --rm --pid container:nope busybox true; engine run --rm --uts host --hostname x busybox true',
    asUser: {
      differs: {
        why: "a host that shows no message queues has none to share; podman fails then",
        podman: /statfs \/dev\/mqueue: no such file/,
        portolan: / host\n/,
      },
    },
  },
);

// Lives, logs, policies.
table(
  "engine run --rm --restart always busybox true; engine run --restart bogus busybox true; engine run --restart always:3 busybox true; engine run --restart on-failure:x busybox true",
  "engine run -d --name one --restart on-failure:2 busybox sh -c 'echo x; exit 3'; until [ \"$(engine inspect -f '{{.RestartCount}} {{.State.Status}}' one)\" = '2 exited' ]; do sleep 0.1; done; engine logs one; engine inspect -f '{{.State.ExitCode}} {{.HostConfig.RestartPolicy.Name}} {{.HostConfig.RestartPolicy.MaximumRetryCount}}' one",
  "engine run -d --name one --stop-signal USR1 busybox sh -c 'trap \"exit 9\" USR1; echo ready; while :; do sleep 0.1; done'; ready one; engine stop one; engine inspect -f '{{.State.ExitCode}} {{.Config.StopSignal}}' one; engine create --stop-signal bogus busybox",
  "engine create --name one --stop-timeout 3 busybox; engine inspect -f '{{.Config.StopTimeout}}' one",
  refused(
    "engine create --stop-timeout x busybox",
    /invalid argument "x" for "--stop-timeout" flag: .*invalid syntax/,
  ),
  "for driver in k8s-file json-file none; do engine run --name $driver --log-driver $driver busybox echo hi; engine logs $driver; done; engine run --log-driver bogus busybox echo hi",
  "engine run --rm --pull never nope; engine run --rm --pull bogus busybox; engine run --rm --pull missing busybox true",
  refused("engine run --rm nope/nope", /short-name|nope\/nope/),
  {
    script:
      "engine create --health-cmd '[\"CMD\", \"true\"]' --name one busybox; engine inspect -f '{{json .Config.Healthcheck.Test}}' one",
    differs: {
      why: "podman splits the JSON text at its blanks",
      podman: /\["\[\\"CMD\\",","\\"true\\"\]"\]/,
      portolan: /\["CMD","true"\]/,
    },
  },
  "engine create --name one --health-cmd 'test -e /ok' --health-timeout 3s --health-start-period 1m --health-interval 1h --health-retries 2 busybox; engine inspect -f '{{json .Config.Healthcheck}}' one; engine create --name two --health-cmd none busybox; engine inspect -f '{{json .Config.Healthcheck.Test}}' two; engine create --name three --health-cmd '[\"test\",\"x\"]' busybox; engine inspect -f '{{json .Config.Healthcheck.Test}}' three",
  "engine create --health-cmd true --health-interval bogus busybox; engine create --health-cmd true --health-retries 0 busybox; engine create --health-cmd true --health-timeout 0s busybox",
  {
    script:
      "engine run -d --name one --health-cmd 'test -e /ok' --health-interval 1h busybox sleep 100; engine inspect -f '{{.State.Health.Status}} {{.State.Health.FailingStreak}}' one; engine ps --format '{{.Status}}'; engine ps -q --filter health=starting | wc -l",
    ignoreErrors: "podman complains that there is no systemd to run the check; Portolan needs none",
  },
);
