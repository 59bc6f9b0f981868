/** Interfaces of the host by name, hardware address, or the device that they belong to (sysfs). */
import { existsSync, readdirSync, realpathSync } from "node:fs";
import { basename, join } from "node:path";
import { type Link, linkByName, links } from "../../netlink/link.ts";
import type { NetlinkSocket } from "../../netlink/socket.ts";
import { formatMac, parseMac } from "../../wire/addr.ts";
import { CNI_ERROR, CniError } from "../types.ts";

export interface DeviceConf {
  device?: string;
  hwaddr?: string;
  kernelpath?: string;
  /** A PCI address, or the name of an auxiliary device. */
  pciBusID?: string;
}

/** Drivers that hand a device to a program instead of the kernel's network (DPDK). */
const USER_SPACE_DRIVERS = ["vfio-pci", "uio_pci_generic", "igb_uio"];

const notFound = (why: string) => new CniError(CNI_ERROR.INTERNAL, `failed to find host device: ${why}`);

function deviceDirectory(id: string, sys: string): string | undefined {
  return ["pci", "auxiliary"].map(bus => `${sys}/bus/${bus}/devices/${id}`).find(existsSync);
}

/** True where no interface belongs to the device: its driver gives it to a program. `sys` is where sysfs is. */
export function isForUserSpace({ pciBusID }: DeviceConf, sys = "/sys"): boolean {
  if (!pciBusID) return false;
  const driver = `${deviceDirectory(pciBusID, sys)}/driver`;
  return existsSync(driver) && USER_SPACE_DRIVERS.includes(basename(realpathSync(driver)));
}

/** The names of a device's interfaces, none where it is not there. A virtio device has them one level down. */
export function interfacesOf(
  { kernelpath, pciBusID }: Pick<DeviceConf, "kernelpath" | "pciBusID">,
  sys = "/sys",
): string[] {
  const directory = kernelpath
    ? join(sys, kernelpath.slice("/sys".length))
    : deviceDirectory(pciBusID ?? "", sys);
  if (!directory) return [];
  const virtio = listing(directory).filter(name => name.startsWith("virtio"));
  return [directory, ...virtio.map(name => join(directory, name))].flatMap(one => listing(join(one, "net")));
}

function listing(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory).sort() : [];
}

/** The host's interface that a configuration means: by the first of the keys that it has. Throws where there is none. */
export function findDevice(nl: NetlinkSocket, conf: DeviceConf): Link {
  const { device, hwaddr, kernelpath, pciBusID } = conf;
  if (device) {
    const link = linkByName(nl, device);
    if (!link) throw notFound(`there is no interface ${device}`);
    return link;
  }
  const all = links(nl);
  if (hwaddr) {
    const mac = parseMac(hwaddr);
    if (!mac) throw notFound(`invalid MAC address ${JSON.stringify(hwaddr)}`);
    const link = all.find(one => one.mac === formatMac(mac));
    if (!link) throw notFound(`no interface has the hardware address ${formatMac(mac)}`);
    return link;
  }
  if (kernelpath && !/^\/sys\/devices\/(?!.*\.\.)/.test(kernelpath))
    throw notFound(
      `kernel device path ${JSON.stringify(kernelpath)} must be absolute and begin with /sys/devices/`,
    );
  const names = interfacesOf(conf);
  const link = all.find(one => names.includes(one.name));
  if (!link) throw notFound(`no interface of the host belongs to ${kernelpath ?? pciBusID}`);
  return link;
}

/** Whether a link that has been in a container, and bears its own name in its alias, is the one that is meant. */
export function isMeant(conf: DeviceConf, link: Link, mac: string | undefined): boolean {
  if (mac && mac.toLowerCase() !== link.mac) return false;
  if (conf.device) return link.alias === conf.device;
  if (conf.hwaddr) return link.mac === conf.hwaddr.toLowerCase();
  return interfacesOf(conf).includes(link.name);
}
