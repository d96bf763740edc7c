import { readdirSync } from 'node:fs'
import type net from 'node:net'

interface Handle {
  readonly fd?: number
  readonly reading?: boolean
}

/** What Node holds of the kernel's socket, while it is open. */
export function handleOf(owner: net.Socket | net.Server): Handle | undefined {
  return (owner as unknown as { _handle?: Handle | null })._handle ?? undefined
}

/** -1 where there is none. */
export function descriptorOf(owner: net.Socket | net.Server): number {
  return handleOf(owner)?.fd ?? -1
}

/** How many descriptors this process has open. */
export function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length
}
