import assert from 'node:assert/strict'
import { test } from 'node:test'
import { docker, make, gone, demultiplexed } from './docker.js'

// PULL is an image in a registry that the suite has started.
test('a pull shows its progress', async (t) => {
  const ref = process.env.PULL
  const stream = await docker.pull(ref)
  const seen = []
  const output = await new Promise((resolve, reject) => {
    docker.modem.followProgress(stream, (err, output) => err ? reject(err) : resolve(output), (event) => seen.push(event))
  })
  t.after(() => docker.getImage(ref).remove({ force: true }))
  assert.deepEqual(output, seen)
  const statuses = seen.map((event) => event.status)
  assert.match(statuses[0], /^Pulling from /)
  assert.ok(statuses.includes('Pull complete'), statuses.join())
  assert.ok(seen.some((event) => event.status === 'Downloading' && event.progressDetail.total > 0 && event.id.length === 12), JSON.stringify(seen))
  assert.match(statuses.at(-2), /^Digest: sha256:/)
  assert.equal(statuses.at(-1), `Status: Downloaded newer image for ${ref}`)
  const image = await docker.getImage(ref).inspect()
  assert.ok(image.RepoTags.includes(ref))
  assert.equal((await docker.listImages({ filters: { reference: [ref] } })).length, 1)
})

test('a pull of what is not there is an error', async () => {
  const ref = process.env.PULL.replace(/\/.*/, '/nosuch:1')
  await assert.rejects(docker.pull(ref), { statusCode: 404 })
})

test('events tell a life', async (t) => {
  const label = `events=${process.pid}`
  const stream = await docker.getEvents({ filters: { label: [label], type: ['container'] } })
  t.after(() => stream.destroy())
  const container = await make(t, 'exit 2', { Labels: { events: String(process.pid) } })
  await container.start()
  await container.wait()
  await container.remove()
  const actions = []
  let rest = ''
  for await (const chunk of stream) {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop()
    for (const event of lines.map((line) => JSON.parse(line))) {
      actions.push(event.Action)
      assert.equal(event.Actor.ID, container.id)
      if (event.Action === 'die') assert.equal(event.Actor.Attributes.exitCode, '2')
    }
    if (actions.at(-1) === 'destroy') break
  }
  assert.deepEqual(actions, ['create', 'start', 'die', 'destroy'])
})

test('volumes', async (t) => {
  const name = `dockerode-${process.pid}`
  await docker.createVolume({ Name: name, Labels: { dockerode: 'yes' } })
  const volume = docker.getVolume(name)
  t.after(() => volume.remove().catch(gone))
  const { Volumes } = await docker.listVolumes({ filters: { label: ['dockerode=yes'] } })
  assert.deepEqual(Volumes.map((v) => v.Name), [name])
  const container = await make(t, 'echo kept > /data/file', { HostConfig: { Binds: [`${name}:/data`] } })
  await container.start()
  await container.wait()
  await assert.rejects(volume.remove(), { statusCode: 409 })
  await container.remove()
  await volume.remove()
  await assert.rejects(volume.inspect(), { statusCode: 404 })
})

test('networks', async (t) => {
  const network = await docker.createNetwork({ Name: `dockerode-${process.pid}`, CheckDuplicate: true, Labels: { dockerode: 'yes' } })
  t.after(() => network.remove().catch(gone))
  const container = await make(t, 'echo served > /tmp/page; httpd :8000 /tmp', {
    ExposedPorts: { '8000/tcp': {} },
    HostConfig: { PortBindings: { '8000/tcp': [{ HostIp: '127.0.0.1', HostPort: '' }] } }
  })
  await container.start()
  await network.connect({ Container: container.id, EndpointConfig: { Aliases: ['web'] } })
  const { NetworkSettings } = await container.inspect()
  assert.equal(Object.keys(NetworkSettings.Networks).length, 2)
  const [{ HostPort }] = NetworkSettings.Ports['8000/tcp']
  const page = async () => (await fetch(`http://127.0.0.1:${HostPort}/page`)).text()
  assert.equal(await eventually(page), 'served\n')

  const peer = await make(t, 'sleep 1000', { HostConfig: { NetworkMode: network.id } })
  await peer.start()
  const exec = await peer.exec({ Cmd: ['nc', '-z', 'web', '8000'], AttachStdout: true, AttachStderr: true })
  await demultiplexed(await exec.start({}))
  assert.equal((await exec.inspect()).ExitCode, 0)

  assert.equal(Object.keys((await network.inspect()).Containers).length, 2)
  await network.disconnect({ Container: container.id, Force: true })
  assert.equal(Object.keys((await network.inspect()).Containers).length, 1)
  await peer.remove({ force: true })
  await network.remove()
  await assert.rejects(network.inspect(), { statusCode: 404 })
})

// eventually tries until there is no error.
async function eventually (f) {
  for (const until = Date.now() + 20_000; ;) {
    try {
      return await f()
    } catch (err) {
      if (Date.now() > until) throw err
    }
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
