/** What the man pages of the main verbs show: what it is for, and the command. */
export const EXAMPLES: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
  "portolan-run": [
    [
      "A web server in the background, published on port 8080:",
      "portolan run -dt --name webserver -p 8080:80 nginx",
    ],
    ["A shell that leaves nothing behind:", "portolan run --rm -it --network host busybox sh"],
    [
      "Two networks, with an address on the first:",
      "portolan run -d --network web:ip=10.60.0.7 --network backend nginx",
    ],
    [
      "A directory of the host's, for reading:",
      "portolan run --rm -v /srv/notes:/notes:ro busybox ls /notes",
    ],
  ],
  "portolan-create": [
    ["A container that is started later:", "portolan create --name db postgres\nportolan start db"],
  ],
  "portolan-exec": [["A shell in a running container:", "portolan exec -it webserver bash"]],
  "portolan-ps": [
    ["All containers, and what they publish:", 'portolan ps -a --format "{{.Names}} {{.Ports}}"'],
    ["Those that have ended:", "portolan ps --filter status=exited"],
  ],
  "portolan-logs": [["The last lines, and all that follow:", "portolan logs -f --tail 10 webserver"]],
  "portolan-inspect": [
    ["The address of a container:", "portolan inspect -f '{{.NetworkSettings.IPAddress}}' webserver"],
  ],
  "portolan-rm": [["A container that runs, with its anonymous volumes:", "portolan rm -f -v webserver"]],
  "portolan-stop": [["All, with three seconds to end:", "portolan stop -a -t 3"]],
  "portolan-cp": [
    ["A file out of a container, and back:", "portolan cp db:/etc/hosts .\nportolan cp hosts db:/tmp/"],
  ],
  "portolan-pull": [["An image by its full name:", "portolan pull docker.io/library/nginx:latest"]],
  "portolan-images": [["Names alone:", 'portolan images --format "{{.Repository}}:{{.Tag}}"']],
  "portolan-save": [
    [
      "An image as a file, for another machine:",
      "portolan save -o nginx.tar nginx\nportolan load -i nginx.tar",
    ],
  ],
  "portolan-network-create": [
    [
      "A network on which containers know each other by name:",
      "portolan network create --subnet 10.60.0.0/24 web",
    ],
    [
      "Machines on the wire of eth0:",
      "portolan network create -d macvlan -o parent=eth0 --subnet 192.168.1.0/24 lan",
    ],
  ],
  "portolan-network-connect": [
    ["A second network, under one more name:", "portolan network connect --alias store backend db"],
  ],
  "portolan-pod-create": [
    [
      "Two containers that reach each other on localhost:",
      "portolan pod create --name shop -p 8080:80\nportolan run -dt --pod shop nginx\nportolan run -dt --pod shop -e MYSQL_ALLOW_EMPTY_PASSWORD=yes mariadb",
    ],
  ],
  "portolan-volume-create": [
    [
      "A volume, and its use:",
      "portolan volume create data\nportolan run -d -v data:/var/lib/postgresql/data postgres",
    ],
  ],
  "portolan-explain": [["Which way packets go, and where they stop:", "portolan explain webserver db:3306"]],
  "portolan-completion": [["For the shell that runs:", "source <(portolan completion bash)"]],
};
