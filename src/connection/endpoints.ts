import type net from 'node:net'
import { endianness } from 'node:os'
import { addressText } from '../kernel/address.js'
import type { NativeCore } from '../kernel/binding.js'
import { descriptorOf } from './target.js'

/**
 * The address of one end of a connection, as in `socket.remoteAddress`, `remotePort` and `remoteFamily`. It is empty if the connection ended
 * before the address was read, which is rare.
 */
export interface Endpoint {
  /** `'192.0.2.1'`, `'2001:db8::1'`, `'fe80::1%eth0'`; for IPv4 on an IPv6 socket `'::ffff:192.0.2.1'`. */
  readonly address?: string
  /** The port, 1 to 65,535. */
  readonly port?: number
  /** The address family of the socket. */
  readonly family?: 'IPv4' | 'IPv6'
}

/** Both ends of a connection. */
export interface Endpoints {
  readonly local: Endpoint
  readonly remote: Endpoint
}

/** `struct Address` of native/core/addresses.h: the local one, then the remote one. */
const offsets = { family: 0, port: 2, address: 4, zone: 20 } as const
const SIZE = 36
const IPV4 = 2

const bytes = new Uint8Array(2 * SIZE)
const view = new DataView(bytes.buffer)
const littleEndian = endianness() === 'LE'

/**
 * Reads both addresses of a socket whose descriptor is open. The kernel has them even after it has ended the connection. Node's
 * `socket.remoteAddress` is `undefined` then, unless the program has read it before.
 */
export function readEndpoints(core: NativeCore | undefined, socket: net.Socket): Endpoints {
  return (core && readDescriptorEndpoints(core, descriptorOf(socket))) ?? nodeEndpoints(socket)
}

/** Reads both addresses of a descriptor. `undefined` if it is closed, or not a socket with addresses. */
export function readDescriptorEndpoints(core: NativeCore, fd: number): Endpoints | undefined {
  if (core.readAddresses(fd, bytes)) return undefined
  return Object.freeze({ local: decode(0), remote: decode(SIZE) })
}

function decode(start: number): Endpoint {
  const isIPv4 = view.getUint16(start + offsets.family, littleEndian) === IPV4
  const at = start + offsets.address
  const text = addressText(bytes.subarray(at, at + (isIPv4 ? 4 : 16)))
  const zone = zoneAt(start + offsets.zone)
  return Object.freeze({
    address: zone === '' ? text : `${text}%${zone}`,
    port: view.getUint16(start + offsets.port, littleEndian),
    family: isIPv4 ? 'IPv4' : 'IPv6',
  })
}

/** The name of an interface, terminated by NUL. */
function zoneAt(start: number): string {
  if (bytes[start] === 0) return ''
  return String.fromCharCode(...bytes.subarray(start, bytes.indexOf(0, start)))
}

function nodeEndpoints(socket: net.Socket): Endpoints {
  const { localAddress, localPort, localFamily, remoteAddress, remotePort, remoteFamily } = socket
  return Object.freeze({
    local: endpoint(localAddress, localPort, localFamily),
    remote: endpoint(remoteAddress, remotePort, remoteFamily),
  })
}

function endpoint(address?: string, port?: number, family?: string): Endpoint {
  return Object.freeze(address === undefined ? {} : ({ address, port, family } as Endpoint))
}
