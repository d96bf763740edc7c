import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const prebuilds = fileURLToPath(new URL('../prebuilds', import.meta.url))

/**
 * The platforms that the package ships a binary for. `file` is where prebuildify writes the binary and src/kernel/binary.ts loads it. The oldest enterprise
 * systems that run a current Node have glibc 2.17.
 */
export const platforms = [
  { name: 'linux-x64-glibc', arch: 'x64', libc: 'glibc', target: 'x86_64-linux-gnu.2.17' },
  { name: 'linux-x64-musl', arch: 'x64', libc: 'musl', target: 'x86_64-linux-musl' },
  { name: 'linux-arm64-glibc', arch: 'arm64', libc: 'glibc', target: 'aarch64-linux-gnu.2.17' },
  { name: 'linux-arm64-musl', arch: 'arm64', libc: 'musl', target: 'aarch64-linux-musl' },
].map((platform) => ({
  ...platform,
  file: join(prebuilds, `linux-${platform.arch}/deadpeer.${platform.libc}.node`),
}))
