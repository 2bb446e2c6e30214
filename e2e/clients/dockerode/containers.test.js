import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { docker, Image, make, demultiplexed, text } from './docker.js'

test('the daemon tells about itself', async () => {
  assert.equal((await docker.ping()).toString(), 'OK')
  assert.ok((await docker.version()).ApiVersion)
  assert.equal((await docker.info()).OSType, 'linux')
})

test('attached before the start, nothing is lost', async (t) => {
  const container = await make(t, 'echo out; echo err >&2; exit 3')
  const stream = await container.attach({ stream: true, stdout: true, stderr: true })
  const output = demultiplexed(stream)
  await container.start()
  assert.deepEqual(await output, { stdout: 'out\n', stderr: 'err\n' })
  assert.equal((await container.wait()).StatusCode, 3)
  const inspected = await container.inspect()
  assert.equal(inspected.State.Status, 'exited')
  assert.equal(inspected.State.ExitCode, 3)
})

test('docker.run passes output and status', async (t) => {
  const stdout = new PassThrough()
  const stderr = new PassThrough()
  const [result, container] = await docker.run(Image, ['sh', '-c', 'echo $A; echo err >&2; exit 4'], [stdout, stderr], { Env: ['A=b'], Tty: false })
  t.after(() => container.remove())
  assert.equal(result.StatusCode, 4)
  stdout.end()
  stderr.end()
  assert.equal(await text(stdout), 'b\n')
  assert.equal(await text(stderr), 'err\n')
})

test('what is typed arrives, and its end too', async (t) => {
  const container = await make(t, 'cat; echo done', { OpenStdin: true, StdinOnce: true })
  const stream = await container.attach({ stream: true, stdin: true, stdout: true, stderr: true, hijack: true })
  const output = demultiplexed(stream)
  await container.start()
  stream.write('typed\n')
  stream.end()
  assert.deepEqual(await output, { stdout: 'typed\ndone\n', stderr: '' })
})

test('a terminal has one raw stream and a size', async (t) => {
  const container = await make(t, 'cat > /dev/null; sleep 0.2; stty size', { Tty: true, OpenStdin: true })
  const stream = await container.attach({ stream: true, stdin: true, stdout: true, stderr: true, hijack: true })
  const output = text(stream)
  await container.start()
  await container.resize({ h: 21, w: 55 })
  stream.write('\x04')
  assert.match(await output, /21 55\r\n/)
})

test('logs: all at once, and followed to the end', async (t) => {
  const container = await make(t, 'for i in 1 2 3; do echo line $i; echo err $i >&2; sleep 0.1; done')
  await container.start()
  const followed = await demultiplexed(await container.logs({ follow: true, stdout: true, stderr: true }))
  assert.equal(followed.stdout, 'line 1\nline 2\nline 3\n')
  assert.equal(followed.stderr, 'err 1\nerr 2\nerr 3\n')
  const tail = (await container.logs({ stdout: true, stderr: true, tail: 2 })).toString()
  assert.match(tail, /line 3/)
  assert.match(tail, /err 3/)
  assert.doesNotMatch(tail, / 2/)
})

for (const hijack of [true, false]) {
  test(`exec ${hijack ? 'with' : 'without'} an upgraded connection`, async (t) => {
    const container = await make(t, 'sleep 1000')
    await container.start()
    const exec = await container.exec({ Cmd: ['sh', '-c', 'echo $A $PWD; echo err >&2; exit 7'], Env: ['A=b'], WorkingDir: '/tmp', AttachStdout: true, AttachStderr: true })
    const output = await demultiplexed(await exec.start({ hijack, stdin: false }))
    assert.deepEqual(output, { stdout: 'b /tmp\n', stderr: 'err\n' })
    assert.equal((await exec.inspect()).ExitCode, 7)
  })
}

test('exec with input', async (t) => {
  const container = await make(t, 'sleep 1000')
  await container.start()
  const exec = await container.exec({ Cmd: ['wc'], AttachStdin: true, AttachStdout: true, AttachStderr: true })
  const stream = await exec.start({ hijack: true, stdin: true })
  const output = demultiplexed(stream)
  stream.end('x'.repeat(200_000))
  assert.deepEqual(await output, { stdout: '200000\n', stderr: '' })
})

test('everyday commands', async (t) => {
  const container = await make(t, 'while true; do sleep 0.1; done', { Labels: { dockerode: 'everyday' }, HostConfig: { Memory: 64 << 20 } })
  const find = (filters) => docker.listContainers({ all: true, filters })
  assert.equal((await find({ label: ['dockerode=everyday'], status: ['created'] })).length, 1)
  await container.start()
  await assert.rejects(container.start(), { statusCode: 304 })
  assert.equal((await find(JSON.stringify({ label: ['dockerode=everyday'], status: ['running'] })))[0].Id, container.id)
  assert.ok((await container.top()).Processes.length > 0)
  const stats = await container.stats({ stream: false })
  assert.equal(stats.memory_stats.limit, 64 << 20)
  await container.pause()
  assert.equal((await container.inspect()).State.Paused, true)
  await container.unpause()
  await container.update({ Memory: 96 << 20, MemorySwap: 96 << 20 })
  assert.equal((await container.inspect()).HostConfig.Memory, 96 << 20)
  await container.rename({ name: `dockerode-${process.pid}` })
  await container.restart({ t: 1 })
  await container.stop({ t: 1 })
  await assert.rejects(container.stop(), { statusCode: 304 })
  await container.remove()
  await assert.rejects(container.inspect(), (err) => err.statusCode === 404 && /No such container/.test(err.json.message))
})

test('files go in and out as tar archives', async (t) => {
  const container = await make(t, 'sleep 1000')
  await container.start()
  const write = await container.exec({ Cmd: ['sh', '-c', 'mkdir /a; echo inside > /a/file'], AttachStdout: true })
  await text(await write.start({}))
  const archive = await container.getArchive({ path: '/a' })
  const bytes = []
  for await (const chunk of archive) bytes.push(chunk)
  await container.putArchive(Buffer.concat(bytes), { path: '/tmp' })
  const read = await container.exec({ Cmd: ['cat', '/tmp/a/file'], AttachStdout: true })
  assert.equal((await demultiplexed(await read.start({}))).stdout, 'inside\n')
  await assert.rejects(container.getArchive({ path: '/nosuch' }), { statusCode: 404 })
})

test('mistakes are told', async () => {
  await assert.rejects(docker.createContainer({ Image: 'nosuch:1' }), { statusCode: 404, reason: 'no such container' })
  await assert.rejects(docker.getContainer('nosuch').start(), { statusCode: 404 })
  await assert.rejects(docker.createContainer({ Image, name: '../x' }), { statusCode: 400 })
})
