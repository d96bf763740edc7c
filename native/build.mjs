// Builds the native core for this machine, unless build/Release already has one that was compiled from these sources:
//   node native/build.mjs
// A binary of `npm run binaries` that was compiled from other sources is deleted, because it would be loaded instead. The script compares contents and not times, so it also notices a checkout of an older version. If nothing changed it takes a few milliseconds.
import { execFileSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { platforms } from './platforms.mjs'
import { isMadeFromThese } from './sources.mjs'

process.chdir(fileURLToPath(new URL('..', import.meta.url)))

// There is no native core for other systems.
if (process.platform === 'linux' && !isMadeFromThese('build/Release/deadpeer.node')) {
  console.log('# building the native core from its sources')
  // Through npm, which has node-gyp on its PATH and knows where Node's headers are.
  execFileSync('npm', ['run', '--silent', 'build:native'], { stdio: ['ignore', 'ignore', 'inherit'] })
}

for (const { file } of platforms) if (!isMadeFromThese(file)) rmSync(file, { force: true })
