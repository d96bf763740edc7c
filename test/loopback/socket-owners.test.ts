import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, readlinkSync, rmSync, symlinkSync } from 'node:fs'
import type net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { borrowSocket, readSocketOwners } from '../../src/host/index.js'
import { inspect } from '../../src/index.js'
import { parseSocketLink } from '../../src/kernel/processes.js'
import { connect, connectPair } from '../support/connections.js'
import { descriptorOf, openDescriptors } from '../support/descriptors.js'
import { asOrdinaryUser, hasOrdinaryUser } from '../support/ordinary-user.js'
import { startOwner } from '../support/owner-process.js'

const inodeOf = (pid: number | 'self', fd: number) => parseSocketLink(readlinkSync(`/proc/${pid}/fd/${fd}`))!
/** Node calls itself by its thread's name from 24 on. */
const commandOf = (pid: number) =>
  readFileSync(`/proc/${pid}/comm`, 'utf8')
    .trim()
    .replace(/^(node-)?MainThread$/, 'node')

/** A process that has the socket as its descriptor 3. */
function shareWith(socket: net.Socket, program = 'sleep', argv0 = program): ChildProcess {
  const child = spawn(program, ['60'], { argv0, stdio: ['ignore', 'ignore', 'ignore', socket] })
  onTestFinished(() => void child.kill('SIGKILL'))
  return child
}

describe('readSocketOwners', () => {
  it('finds owners in this and another process, by inode', async () => {
    const { pid, fd } = await startOwner()
    const { socket } = await connectPair()
    const own = descriptorOf(socket)
    const owners = await readSocketOwners()
    expect(owners.get(inodeOf('self', own))).toEqual([
      { pid: process.pid, command: commandOf(process.pid), fd: own },
    ])
    expect(owners.get(inodeOf(pid, fd))).toEqual([{ pid, command: commandOf(pid), fd }])
    expect(inspect(borrowSocket(pid, fd)).verdict).toBe('alive')
  })

  it('finds both owners of a shared socket, and both descriptors of a process', async () => {
    const { socket } = await connectPair()
    const fd = descriptorOf(socket)
    const inode = inodeOf('self', fd)
    const child = shareWith(socket)
    await once(child, 'spawn')
    const owners = (await readSocketOwners([inode])).get(inode)!
    expect(owners).toHaveLength(2)
    expect(owners).toContainEqual({ pid: process.pid, command: commandOf(process.pid), fd })
    expect(owners).toContainEqual({ pid: child.pid, command: 'sleep', fd: 3 })
  })

  it.each(['MainThread', 'node-MainThread'])(
    'names a process called %s, as any Node may be, by its program',
    async (name) => {
      const folder = mkdtempSync(join(tmpdir(), 'deadpeer-owners-'))
      onTestFinished(() => rmSync(folder, { recursive: true }))
      const program = join(folder, name)
      symlinkSync('/bin/sleep', program)
      const { socket } = await connectPair()
      const child = shareWith(socket, program, '/opt/bin/payments')
      await once(child, 'spawn')
      const inode = inodeOf('self', descriptorOf(socket))
      const owners = (await readSocketOwners([inode])).get(inode)!
      expect(owners).toContainEqual({ pid: child.pid, command: 'payments', fd: 3 })
    },
  )

  it('finds only the sockets that were requested', async () => {
    const pairs = await connect(3)
    const inodes = pairs.map(({ socket }) => inodeOf('self', descriptorOf(socket)))
    const owners = await readSocketOwners(new Set(inodes.slice(0, 2)))
    expect([...owners.keys()].sort()).toEqual(inodes.slice(0, 2).sort())
    expect(await readSocketOwners([])).toEqual(new Map())
    expect(await readSocketOwners([1])).toEqual(new Map())
  })

  it.runIf(hasOrdinaryUser)('is undefined for sockets of others as an ordinary user', async () => {
    const { socket } = await connectPair()
    const inode = inodeOf('self', descriptorOf(socket))
    const [outcome] = await asOrdinaryUser([['owners', [inode]]])
    const seen = process.getuid!() === 0 ? {} : { [inode]: [expect.objectContaining({ pid: process.pid })] }
    expect(outcome).toEqual({ value: seen })
  })

  it('finds a socket while other processes and sockets come and go', async () => {
    const { socket } = await connectPair()
    const inode = inodeOf('self', descriptorOf(socket))
    const churn = async () => {
      const child = spawn('sleep', ['60'], { stdio: ['ignore', 'ignore', 'ignore', socket] })
      const pairs = await connect(20)
      child.kill('SIGKILL')
      for (const pair of pairs) pair.socket.destroy()
      for (const pair of pairs) pair.peer.destroy()
      await once(child, 'exit')
    }
    for (let round = 0; round < 20; round++) {
      const [owners] = await Promise.all([readSocketOwners(), churn(), churn()])
      expect(owners.get(inode)).toContainEqual(expect.objectContaining({ pid: process.pid }))
    }
  })

  it('lets the event loop run, and leaves nothing open', async () => {
    const pairs = await connect(2_000)
    const before = openDescriptors()
    let turns = 0
    const count = setInterval(() => turns++, 0)
    const owners = await readSocketOwners()
    clearInterval(count)
    expect(owners.size).toBeGreaterThanOrEqual(2 * pairs.length)
    expect(turns).toBeGreaterThan(3)
    expect(openDescriptors()).toBeLessThanOrEqual(before)
  })

  it.each<{ inodes: unknown }>([
    { inodes: 5 },
    { inodes: '12' },
    { inodes: null },
    { inodes: [-1] },
    { inodes: [1.5] },
    { inodes: ['1'] },
    { inodes: [1n] },
    { inodes: {} },
  ])('refuses $inodes', async ({ inodes }) => {
    await expect(readSocketOwners(inodes as number[])).rejects.toMatchObject({
      code: 'ERR_INVALID_ARG_TYPE',
      field: 'inodes',
    })
  })
})

describe('the link of a descriptor', () => {
  it.each<{ link: string; inode: number | undefined }>([
    { link: 'socket:[1]', inode: 1 },
    { link: 'socket:[4294967295]', inode: 4_294_967_295 },
    { link: 'socket:[]', inode: undefined },
    { link: 'socket:[-1]', inode: undefined },
    { link: 'socket:[1', inode: undefined },
    { link: '/tmp/socket:[1]', inode: undefined },
    { link: 'socket:[1] (deleted)', inode: undefined },
    { link: 'pipe:[1]', inode: undefined },
    { link: 'anon_inode:[eventpoll]', inode: undefined },
  ])('is read correctly: $link', ({ link, inode }) => expect(parseSocketLink(link)).toBe(inode))
})
