// Uses the package in a project that it is installed in. Part of verify-package.mjs; runs in a separate network namespace if necessary:
//   node test/package/verify-installed.mjs <folder of the project>
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import { withNetAdmin } from '../privileges.mjs'
import { Project } from './project.mjs'

withNetAdmin()

const project = new Project(process.argv[2])
const installed = join(project.folder, 'node_modules/deadpeer')

{
  const binary = join(installed, `prebuilds/linux-${process.arch}/deadpeer.glibc.node`)
  const outcome = { binary, tuned: 2_000, evidence: 'ack', reason: 'keepalive', code: 'ETIMEDOUT' }
  assert.deepEqual(JSON.parse(project.run('node', 'imported.mjs')), outcome)
  assert.deepEqual(JSON.parse(project.run('node', '--no-warnings', 'required.cjs')), outcome)
  console.log(
    '# tune, inspect, probe and watch work, by import and by require, with the binary of the package',
  )
}

{
  const shell = (...args) => project.run('node_modules/.bin/deadpeer', ...args)
  const { version } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'))
  assert.equal(shell('--version').trim(), version)
  assert.match(shell('plan', '--hop', 'aws-nlb'), /aws-nlb/)

  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const accepted = once(server, 'connection')
  const socket = net.connect(server.address().port, '127.0.0.1')
  const [peer] = await accepted
  const ours = ['--pid', String(process.pid), '--port', String(socket.localPort)]
  shell('tune', ...ours, '--profile', 'lan')
  const records = JSON.parse(shell('ls', ...ours, '--options', '--json'))
  assert.deepEqual(
    records.map(({ profile }) => profile.initialDelay),
    [3_000, 3_000],
  )
  for (const each of [socket, peer]) each.destroy()
  server.close()
  console.log('# the command line plans, tunes and lists')
}
