// Makes an executable of out/app.cjs, and runs it where there is no node_modules.
import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const config = {
  main: 'out/app.cjs',
  output: 'out/app.blob',
  disableExperimentalSEAWarning: true,
  assets: {
    'deadpeer.node': `node_modules/deadpeer/prebuilds/linux-${process.arch}/deadpeer.glibc.node`,
  },
}
writeFileSync('sea-config.json', JSON.stringify(config))
execFileSync(process.execPath, ['--experimental-sea-config', 'sea-config.json'], {
  stdio: ['ignore', 'ignore', 'inherit'],
})

const folder = mkdtempSync(join(tmpdir(), 'deadpeer-executable-'))
try {
  const program = join(folder, 'app')
  cpSync(process.execPath, program)
  const fuse = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2'
  const postject = ['node_modules/postject/dist/cli.js', program, 'NODE_SEA_BLOB', 'out/app.blob']
  execFileSync(process.execPath, [...postject, '--sentinel-fuse', fuse], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  process.stdout.write(execFileSync(program, { cwd: folder }))
} finally {
  rmSync(folder, { recursive: true })
}
