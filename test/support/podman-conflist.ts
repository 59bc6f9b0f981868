/** The file that Debian's podman brings for its default network, as far as engines look at it. */
export const PODMANS_CONFLIST = {
  path: "/etc/cni/net.d/87-podman-bridge.conflist",
  text: JSON.stringify({
    cniVersion: "0.4.0",
    name: "podman",
    plugins: [
      {
        type: "bridge",
        bridge: "cni-podman0",
        isGateway: true,
        ipMasq: true,
        hairpinMode: true,
        ipam: {
          type: "host-local",
          routes: [{ dst: "0.0.0.0/0" }],
          ranges: [[{ subnet: "10.88.0.0/16", gateway: "10.88.0.1" }]],
        },
      },
      { type: "portmap", capabilities: { portMappings: true } },
      { type: "firewall" },
      { type: "tuning", capabilities: { mac: true } },
    ],
  }),
};
