/** Lists, inspections, Go templates, and the verbs on images, volumes and the system. */
import { expect, test } from "bun:test";
import { normal, openPairs, pairs, refused } from "./pairs.ts";
import { ENGINES } from "./world.ts";

const callers = openPairs(["root", "user"], "busybox", "featured");
const table = (...cases: Parameters<typeof pairs>[1]) => pairs(callers, cases);

const ONE = "engine create --name one -l k=v busybox echo 'a b' \"it's\" >/dev/null";
const TWO = `${ONE}; engine create --name two busybox >/dev/null`;
const inspect = (...templates: string[]) =>
  `${ONE}; ${templates.map(one => `engine inspect -f '${one}' one`).join("; ")}`;

// ps.
table(
  "engine ps; engine ps --noheading; engine ps --format json; engine ps --format 'table {{.Names}} {{.ID}}'; engine ps -q; engine container list",
  `${ONE}; engine ps -a; engine ps -a --no-trunc; engine ps -a --format 'table {{.Names}}\\t{{.Image}}\\t{{.Command}}\\t{{.Status}}\\t{{.Labels}}'; engine ps -aq; engine ps -aq --no-trunc`,
  `${TWO}; for f in name=one name=^two$ id=nope label=k label=k=w status=created status=running exited=0 volume=x network=podman before=two since=one; do echo $f; engine ps -a --filter $f --format '{{.Names}}' --sort names; done`,
  {
    script: `${ONE}; engine ps -a --filter ancestor=busybox --format '{{.Names}}'`,
    differs: {
      why: "podman compares with the full name only, against its manual",
      podman: /^exit 0$/,
      portolan: /^exit 0\none$/,
    },
  },
  refused("engine ps --filter bogus", /invalid filter "bogus"/),
  "engine ps --filter bogus=1; engine ps --filter status=bogus",
  `${TWO}; engine ps -a --sort names --format '{{.Names}}'; engine ps -a --sort created --format '{{.Names}}'; engine ps -n 1 --format '{{.Names}}'; engine ps -l --format '{{.Names}}'; engine ps -q --format x`,
  refused(
    "engine ps --sort bogus",
    /invalid argument "bogus" for "--sort" flag: "bogus" is not a valid value/,
  ),
  `${ONE}; engine ps -a --format '{{.ID}}|{{.ImageID}}|{{.Pod}}|{{.Mounts}}|{{.Networks}}|{{.ExitCode}}|{{.Exited}}|{{.IsInfra}}|{{.AutoRemove}}|{{.CreatedAt}}|{{.CreatedHuman}}|{{.RunningFor}}|{{.State}}'`,
  "engine run -d --name one -v /tmp:/t -v vol:/v busybox sleep 100 >/dev/null; engine ps --format '{{.Status}} {{.Networks}}'; engine ps --filter volume=vol --format '{{.Names}}'; engine ps --ns --noheading | wc -w",
);

// Templates.
table(
  inspect(
    "{{.Name}}",
    '{{json .Config.Cmd}} {{join .Config.Cmd "-"}} {{index .Config.Cmd 1}} {{len .Config.Cmd}}',
    "{{range $i, $e := .Config.Cmd}}{{$i}}={{$e}};{{end}}{{range .Mounts}}x{{else}}none{{end}}",
    '{{if .State.Running}}up{{else if eq .State.Status "created"}}new{{else}}down{{end}}',
  ),
  inspect(
    "{{with .Config}}{{.Image}}{{end}}{{with .Mounts}}x{{else}} no mounts{{end}}",
    '{{printf "%s %d %v %q %t %x %5s|%-5s|%05d" .Name .State.Pid .Config.Cmd .Name .State.Running 255 "ab" "cd" 42}}',
    '{{println .Name "x" 1}}{{print .Name 1 2 "y"}}{{len .Name}} {{.Name | printf "%-5s|"}} {{.Name | len}} {{slice .Name 0 1}}',
    '{{eq 1 1}} {{ne 1 2}} {{lt 1 2}} {{le 2 2}} {{gt 3 2}} {{ge 2 3}} {{and true false}} {{or false true}} {{not true}} {{eq .Name "two" "one"}}',
  ),
  inspect(
    '{{upper .Name}} {{lower "ABC"}} {{title "abc"}} {{split "a,b" ","}} {{join (split "a,b" ",") "+"}} {{truncate "abcdef" 3}} {{pad "x" 1 2}}|',
    '{{html "<a>"}} {{urlquery "a b"}} {{js "it\\"s"}} {{index .Config.Labels "k"}} {{.Config.Labels.k}} {{.Config.Labels.nope}}',
    "{{.Config.Cmd}} {{.Config.Labels}} {{.Config.OnBuild}} {{.HostConfig.CapAdd}} {{.HostConfig.Memory}} {{.Mounts}} {{.Config.Tty}}",
    '{{/* c */}}{{- .Name -}} x {{"q" | printf "%s"}} {{`raw`}} {{$x := .Name}}{{$x}} {{range $k, $v := .Config.Labels}}{{$k}}{{$v}}{{end}}',
  ),
  inspect(
    "{{range .Config.Cmd}}{{.}}{{break}}{{end}}{{range .Config.Cmd}}{{continue}}x{{end}}",
    "{{.Created}}",
    "{{.Config.Healthcheck}} {{.HostConfig.Tmpfs}} {{json .HostConfig.Tmpfs}} {{.NetworkSettings.Ports}} {{.HostConfig.PortBindings}} {{.Config.Volumes}} {{json .Config.Volumes}} {{len .Config.Annotations}}",
    "{{.State.StartedAt}} {{.State.StartedAt.Unix}} {{.State.StartedAt.IsZero}} {{.Created.Year}} {{.Created.Month}} {{.Created.IsZero}}",
    "{{json .State.Health}} {{json .Config.Healthcheck}} {{if .Config.Healthcheck}}yes{{else}}no{{end}}",
    '{{.ID | len}} {{printf "%.12s" .ID}} {{json .NetworkSettings.Ports}} {{len .NetworkSettings.Networks}}',
    "{{ .Name }}\\t{{ .Name }}",
  ),
  ...(
    [
      ["{{.Nope}}", /can't evaluate field Nope/],
      ["{{.Config.Nope}}", /can't evaluate field Nope/],
      ["{{.Config.Cmd.Nope}}", /can't evaluate field Nope in type \[\]/],
      ["{{index .Config.Cmd 9}}", /error calling index: index out of range: 9/],
      ["{{nope}}", /function "nope" not defined/],
      ["{{range .Config.Cmd}}", /unexpected EOF/],
      ["{{end}}", /unexpected \{\{end\}\}/],
      ["{{$x}}", /undefined variable "\$x"/],
      ["{{if}}x{{end}}", /missing value for if/],
      ["{{lt .Name 1}}", /incompatible types for comparison/],
    ] as const
  ).map(([template, says]) => refused(inspect(template), says)),
  refused(`${ONE}; engine ps -a --format '{{.Nope}}'`, /can't evaluate field Nope/),
);

// inspect.
table(
  `${TWO}; engine inspect -f '{{.Name}}' one nope two; echo $?; engine inspect nope; echo $?; engine inspect --type container -f '{{.Name}}' one; engine inspect -l -f '{{.Name}}'; engine inspect --format json one | head -3; engine inspect one two | grep -c '^     ."Id"'`,
  refused("engine inspect --type bogus one", /invalid type "bogus"/),
  "engine inspect --type image one; engine inspect --type volume one; engine inspect --type network one; engine container inspect nope; engine image inspect nope; engine volume inspect nope",
);

// What is empty: maps, pointers.
table(
  "engine create --name one busybox >/dev/null; engine inspect -f '{{.Config.Labels}} {{json .Config.Labels}} {{if .Config.Labels}}some{{else}}none{{end}} {{.Config.Labels.x}}' one; engine inspect -f '{{.Config.Labels}}' featured",
  "engine image inspect -f '{{.Labels}} {{json .Labels}} {{.Annotations}} {{json .Annotations}} {{.Config.Labels}} {{.HealthCheck}} {{.Created.Unix}} {{.Created.Weekday}}' busybox",
  "engine volume create v; engine volume inspect -f '{{.Labels}} {{json .Labels}} {{.Options}} {{json .Options}} {{len (printf \"%v\" .CreatedAt.Year)}}' v",
);

// Volumes.
table(
  "engine volume create v; engine volume create v; engine volume create -l a=b w; engine volume ls; engine volume ls -q; engine volume ls --format '{{.Name}} {{.Driver}} {{.Mountpoint}}'; engine volume inspect v; engine volume inspect -f '{{.Name}} {{.Labels}} {{.Options}}' v w; engine volume rm v; engine volume rm v; engine volume ls --filter label=a -q; engine volume rm -a; engine volume ls",
  "engine volume create | wc -c; engine volume create a b; engine volume create 'bad name'; engine volume inspect nope; engine volume rm; engine volume exists nope; echo $?; engine volume prune -f; engine volume ls --filter name=x; engine volume ls --filter bogus=x; engine volume ls --format json",
  "engine run --name one -v v:/x busybox true; engine volume rm v; echo $?; engine volume prune -f; engine volume rm -f v; engine ps -aq; engine volume ls -q",
);

// The system.
table(
  "engine version --format '{{.Client.Os}} {{.Client.OsArch}}'; engine --version | wc -w; engine version -f json | grep -c Client; engine version | head -1 | cut -c1-8",
  "engine info -f '{{.Host.Arch}} {{.Host.OS}} {{.Host.CgroupManager}} {{.Host.OCIRuntime.Name}} {{.Store.GraphDriverName}} {{.Host.Security.Rootless}} {{.Store.ContainerStore.Number}} {{.Host.Hostname}} {{.Host.CPUs}} {{.Host.MemTotal}} {{.Host.NetworkBackend}} {{.Host.LogDriver}} {{.Host.Kernel}} {{.Host.Distribution.Distribution}} {{.Host.Distribution.Version}} {{.Plugins.Volume}}'; engine system info -f '{{.Host.Arch}}'",
  "name=e$$; engine run --name $name busybox true; engine rm $name >/dev/null; engine events --since 1m --stream=false --filter container=$name --format '{{.Type}} {{.Status}} {{.Image}}'; engine events --since 1m --stream=false --filter event=create --filter container=$name --format '{{.Status}}'",
  ...["system prune", "container prune", "image prune"].map(verb =>
    refused(
      `engine ${verb} </dev/null | grep -c WARNING; engine ${verb} </dev/null >/dev/null`,
      /^(podman|portolan): Error: EOF/,
    ),
  ),
  "echo n | engine container prune; echo y | engine container prune",
  {
    script:
      "engine create --name one busybox >/dev/null; engine system df --format '{{.Type}} {{.Reclaimable}}' | head -1",
    differs: {
      why: "podman counts the layers that images share once for each, and calls those of images in use reclaimable",
      podman: /^exit 0\nImages 2\.14\dMB \(50%\)$/,
      portolan: /^exit 0\nImages 0B \(0%\)$/,
    },
  },
  "engine system df | head -1; engine system df --format '{{.Type}} {{.Total}} {{.Active}}'; engine create --name one busybox true >/dev/null; engine system df -v | sed 's/  .*//'",
  {
    script:
      "engine create --name one busybox true >/dev/null; engine system prune -f | sed 's/[0-9.]*[kMG]*B$/SIZE/' | grep -v 'Networks\\|tiny'; engine ps -aq; engine images --format '{{.Repository}}'",
    ignoreErrors: "podman complains of a network's file that Portolan, at its side, has just pruned",
  },
);

/** All fields of `inspect`, one a line, lists of words sorted; but for where things lie, which each engine has its own way of. */
function fields(text: string): string[] {
  const lines: string[] = [];
  const walk = (value: unknown, path: string) => {
    // podman 4.3 has no permissions of devices, calls the host's ipc namespace "shareable", and takes ports that are
    // exposed for published, which breaks programs that wait for them.
    if (/CgroupPermissions|IpcMode|PortBindings\.5\/tcp/.test(path)) return;
    if (
      /Path$|Dir$|PidFile$|\.(Conmon)?Pid$|CreateCommand|SandboxKey|MacAddress|StartedAt|FinishedAt/.test(
        path,
      )
    )
      return;
    if (typeof value === "object" && value !== null && Object.keys(value).length > 0) {
      const words = Array.isArray(value) && value.every(one => typeof one !== "object");
      if (words) lines.push(`${path} ${JSON.stringify(value.map(String).sort())}`);
      else for (const [key, one] of Object.entries(value)) walk(one, `${path}.${key}`);
    } else lines.push(`${path} ${JSON.stringify(value)}`);
  };
  const [one] = JSON.parse(text) as [
    {
      Mounts: { Destination: string }[];
      HostConfig: { Binds: string[]; Tmpfs: Record<string, string> };
      Config: { Env: string[] };
    },
  ];
  // podman keeps options and mounts in no order, and tells the name in the environment of some before they start.
  const { Tmpfs } = one.HostConfig;
  for (const [place, options] of Object.entries(Tmpfs)) Tmpfs[place] = options.split(",").sort().join(" ");
  one.HostConfig.Binds = one.HostConfig.Binds.map(bind => normal(bind).split(/[:,]/).sort().join(" "));
  one.Config.Env = one.Config.Env.filter(word => !word.startsWith("HOSTNAME="));
  one.Mounts.sort((a, b) => (a.Destination < b.Destination ? -1 : 1));
  walk(one, "");
  return lines.map(normal).sort();
}

/** What podman refuses an ordinary user, or does not tell, or Portolan refuses: message queues, MAC addresses, devices, limits. */
const NOT_A_USERS = /--ipc host |--device \S+ |--mac-address \S+ |-m 64m .* --pids-limit 10 /g;

// What has a port or is gone at its end can only be created.
for (const all of [
  "busybox sleep 0",
  "-ti -e A=1 -w /tmp -u nobody --entrypoint sh --hostname box --network host --rm --label a=b --annotation c=d busybox -c x",
  "--cap-add net_raw --cap-drop chown --restart on-failure:3 --init --stop-signal INT --stop-timeout 3 --log-driver json-file --dns 1.1.1.1 --dns-search x --dns-option y --add-host q:1.2.3.4 --group-add 7 --ipc host --device /dev/fuse:/dev/f:r --tz UTC --umask 077 busybox true x",
  "--privileged --read-only --security-opt no-new-privileges -m 64m --memory-reservation 32m --cpus 0.5 --cpu-shares 512 --cpuset-cpus 0 --pids-limit 10 --oom-score-adj 5 --shm-size 1m --pid host busybox true x",
  "-v v:/x -v /tmp:/y:ro -v /z --tmpfs /t:size=1m --mount type=bind,source=/tmp,target=/m,bind-propagation=rslave busybox true x",
  "-p 8080:80 -p 127.0.0.1:9000-9001:9000-9001/udp --expose 5 --mac-address 92:d0:c6:0a:29:33 busybox true x",
  "--network none featured",
])
  for (const verb of /--rm|-p /.test(all) ? ["create"] : ["create", "run"])
    for (const { who, pair } of callers) {
      const flags = who === "user" ? all.replace(NOT_A_USERS, "") : all;
      test(`${who}: inspect after ${verb} ${flags}`, async () => {
        const told: string[][] = [];
        for (const engine of ENGINES) {
          const script = `quiet engine ${verb} --name one ${flags}; engine inspect one`;
          const { stdout, stderr } = await pair().run(engine, script);
          if (!stdout.startsWith("[")) throw new Error(`${engine}: ${stderr}`);
          told.push(fields(stdout));
        }
        expect(told[1]).toEqual(told[0]!);
      });
    }
