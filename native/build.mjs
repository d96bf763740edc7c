// Builds the native core for this machine, unless build/Release already has one that was compiled from these sources:
//   node native/build.mjs
// It compares contents and not times, so a checkout of an older version is noticed too. When nothing changed it takes some milliseconds.
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { isMadeFromThese } from './sources.mjs'

process.chdir(fileURLToPath(new URL('..', import.meta.url)))

// There is no native core for other systems.
if (process.platform === 'linux' && !isMadeFromThese('build/Release/deadpeer.node')) {
  console.log('# the native core is built from its sources')
  // Through npm, which has node-gyp on its PATH and knows where Node's headers are.
  execFileSync('npm', ['run', '--silent', 'build:native'], { stdio: ['ignore', 'ignore', 'inherit'] })
}
