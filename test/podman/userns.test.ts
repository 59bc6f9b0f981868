/** User namespaces of containers: who is who in them, and what they see, as root's containers and as a user's. */
import { openPairs, pairs, refused } from "./pairs.ts";

const [root, user] = openPairs(["root", "user"], "busybox");

/** The maps, who one is, and to whom it all belongs. */
const WHO =
  "cat /proc/self/uid_map /proc/self/gid_map; id -u; id -g; touch /tmp/x; ls -ldn /etc /etc/passwd /etc/hosts /run/.containerenv /dev/shm /proc /sys /tmp/x | awk '{print \\$1, \\$3, \\$4, \\$NF}'; mount | grep -E ' /sys | /dev/pts | /dev/mqueue ' | sort";

// Of root's containers.
pairs(
  [root!],
  [
    `engine run --rm --uidmap 0:200000:1000 busybox sh -c "${WHO}"`,
    `engine run --rm --uidmap 0:200000:1000 --gidmap 0:300000:500 --network none busybox sh -c "${WHO}"`,
    `engine run --rm --uidmap 0:200000:5 busybox sh -c "${WHO}"`,
    `engine run --rm --gidmap 0:300000:100 --net host busybox sh -c "${WHO}"`,
    `engine run -d --name a --uidmap 0:200000:1000 busybox sleep 100 >f; engine run --rm --userns container:a busybox sh -c "${WHO}"; engine exec a id; engine exec -u 7:8 a id`,
    "engine run --rm --uidmap 0:200000:1000 --pid host busybox id; engine run --rm --uidmap 0:200000:1000 --privileged busybox id",
    "engine run --rm --uidmap 0:200000:1000 busybox sh -c 'ip -o -4 address | wc -l; ip route | wc -l; wc -l </etc/hosts'",
    "engine run --rm --uidmap 0:200000:1000 -v data:/etc busybox sh -c 'ls -ldn /etc /etc/passwd | cut -c1-40; touch /etc/new'; engine run --rm -v data:/etc busybox sh -c 'ls -ldn /etc /etc/passwd /etc/new' | awk '{print $3, $4, $NF}'",
    "engine run --rm --uidmap 0:200000:1000 -v data:/new busybox ls -ldn /new | awk '{print $1, $3, $4}'",
    "mkdir d; touch d/f; engine run --rm --uidmap 0:200000:1000 -u 7:8 -v $PWD/d:/d:U busybox sh -c 'touch /d/mine; ls -ln /d' | awk '{print $3, $4, $9}'; ls -ln d | awk '{print $3, $4, $9}'",
    "engine create --name a --uidmap 0:200000:1000 --uidmap 1000:300000:5 busybox; engine inspect -f '{{json .HostConfig.IDMappings}} {{.HostConfig.UsernsMode}}' a; engine create --name b busybox; engine inspect -f '{{json .HostConfig.IDMappings}} {{.HostConfig.UsernsMode}}' b",
    "engine run --rm --userns keep-id busybox true; engine run --rm --userns nomap busybox true; engine run --rm --userns private busybox true",
    "engine run --rm --userns bogus busybox true; engine run --rm --userns ns:/nope busybox true; engine run --rm --userns container:nope busybox true",
    "engine run --rm --uidmap 0:x:1 busybox true; engine run --rm --uidmap 0:1 busybox true; engine run --rm --uidmap 0:1:0 busybox true",
    "engine run --rm --uidmap 0:200000:1000 --uidmap 500:3000:10 busybox true; engine run --rm --uidmap 0:1:5 --userns host busybox true; engine run --rm --subuidname nosuch busybox true",
    refused("engine run --rm --uidmap 0:200000:1000 -u 5000 busybox true", /doesn't map UID 5000/),
    `echo containers:3000000:100000 >/etc/subuid; cp /etc/subuid /etc/subgid; engine run --rm --userns auto busybox sh -c "${WHO}"; engine run --rm --userns auto:size=200 busybox cat /proc/self/uid_map; engine run --rm --subuidname containers busybox cat /proc/self/uid_map /proc/self/gid_map`,
    "echo containers:3000000:2048 >/etc/subuid; cp /etc/subuid /etc/subgid; for name in one two three; do engine create --name $name --userns auto busybox >f; engine inspect -f '{{json .HostConfig.IDMappings}}' $name; done",
    "PODMAN_USERNS=bogus engine run --rm busybox true; PODMAN_USERNS=bogus engine run --rm --userns '' busybox true",
  ],
);

// Of a user's.
pairs(
  [user!],
  [
    ...["keep-id", "nomap", "auto", "auto:size=100", "keep-id:uid=5,gid=6", "host"].map(
      mode => `engine run --rm --network none --userns ${mode} busybox sh -c "${WHO}"`,
    ),
    `engine run --rm --network none --uidmap 0:1:1000 --gidmap 0:5:900 busybox sh -c "${WHO}"`,
    "engine run --rm --network none --userns keep-id busybox sh -c 'pwd; echo $HOME; tail -1 /etc/passwd; tail -1 /etc/group; id; umask'",
    "engine run --rm --network none --userns keep-id:uid=5,gid=6 busybox sh -c 'pwd; echo $HOME; tail -1 /etc/passwd; id'",
    "for user in 0 33 nobody 33:34; do engine run --rm --network none --userns keep-id --user $user busybox id; done",
    "engine run --rm --network none --userns keep-id -w /tmp busybox sh -c 'pwd; echo $HOME'; engine run --rm --network none --userns keep-id --privileged busybox id",
    "mkdir d; echo hi >d/f; engine run --rm --network none --userns keep-id -v $PWD/d:/d busybox sh -c 'ls -ln /d; touch /d/new' | awk '{print $3, $4, $9}'; ls -ln d | awk '{print $3, $4, $9}'",
    "mkdir d; echo hi >d/f; engine run --rm --network none --userns nomap -v $PWD/d:/d busybox sh -c 'ls -ln /d; touch /d/new' 2>&1 | awk '{print $3, $4, $9}'",
    "engine create --name a --userns keep-id busybox >f; engine inspect -f '{{json .HostConfig.IDMappings}} {{.HostConfig.UsernsMode}} {{.Config.User}} {{.Config.WorkingDir}}' a; engine create --name b --userns auto busybox",
    "engine run -d --network none --name a --userns keep-id busybox sleep 100 >f; engine exec a id -u; engine exec -u 0 a id; engine run --rm --network none --userns container:a busybox id",
    "engine run --rm --userns keep-id:foo=1 busybox true; engine run --rm --userns keep-id:uid=x busybox true; engine run --rm --userns auto:size=x busybox true",
    // What else a container is given, with the ids that it has.
    ...["keep-id", "nomap"].flatMap(mode => {
      const run = `engine run --rm --network none --userns ${mode}`;
      return [
        `${run} -t busybox sh -c 'tty; stat -c "%u %a" /dev/pts/0'; ${run} --read-only busybox sh -c 'touch /x; touch /tmp/y && id -u'`,
        `${run} --tmpfs /t:U busybox stat -c '%u %g %a' /t; ${run} --tmpfs /t busybox stat -c '%u %g %a' /t; ${run} --device /dev/net/tun busybox stat -c '%u %g %a %F' /dev/net/tun`,
        `${run} -v vol:/v busybox sh -c 'stat -c "%u %g %a" /v; touch /v/x && echo ok'; ${run} -v vol2:/etc busybox sh -c 'stat -c "%u %g %a" /etc/passwd; touch /etc/x && echo ok'`,
        `${run} --cap-add all busybox grep CapEff /proc/self/status; ${run} -u root busybox sh -c 'grep CapEff /proc/self/status; chown 5 /tmp && stat -c %u /tmp'; ${run} --privileged busybox sh -c 'grep CapEff /proc/self/status; mount -t tmpfs x /mnt && echo mounted'`,
        `${run} --pid host busybox ls -d /proc/1; ${run} --uts host busybox id -u; ${run} --sysctl net.ipv4.ip_forward=1 busybox cat /proc/sys/net/ipv4/ip_forward`,
        `${run} --tz UTC --hostname box busybox sh -c 'date +%Z; hostname; stat -c "%u %g" /etc/localtime /etc/hostname'; ${run} --group-add 7 busybox id -G; ${run} --shm-size 1m busybox df /dev/shm`,
      ];
    }),
    "PODMAN_USERNS=keep-id engine run --rm --network none busybox id",
  ],
);
