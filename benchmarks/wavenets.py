"""Real-time factors of the models of sound at 8 kHz: one sequence, one thread, the best of several runs.

Processor time is printed beside the clock's, since on a shared machine the latter says little.
"""

import time

import torch

import pushforward as pf
from pushforward.kernels import native, wavenet

RATE = 8000


def say(name, run, samples=RATE, repeats=7):
    run()
    processor, clock = [], []
    for _ in range(repeats):
        start, started = time.process_time(), time.perf_counter()
        run()
        processor.append(time.process_time() - start)
        clock.append(time.perf_counter() - started)
    seconds = samples / RATE
    print(
        f"{name:55} {min(processor) / samples * 1e6:8.2f} µs a sample, {seconds / min(processor):7.2f} × real time "
        f"({seconds / min(clock):.2f} by the clock)",
        flush=True,
    )


def randomized(model):
    for parameter in model.parameters():
        parameter.data = 0.1 * torch.randn_like(parameter)
    return model


@torch.no_grad()
def main():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    teacher, mixture = randomized(pf.wavenet()), randomized(pf.wavenet(head="logistic_mixture"))
    adaptive = randomized(pf.audio.adaptive_wavenet())
    student = randomized(pf.parallel_wavenet(flows=2, layers=7, stacks=2))
    small = randomized(pf.parallel_wavenet(flows=2, layers=8))
    x, window = 0.3 * torch.randn(RATE), torch.zeros(1, teacher.network.receptive_field + 1)
    if native is not None:
        print(f"compiled, {native.instructions}")
        say("wavenet, sample, gaussian", lambda: teacher.sample(length=RATE))
        say("wavenet, sample, mixture of 10", lambda: mixture.sample(length=RATE))
        say("adaptive_wavenet, sample, gaussian", lambda: adaptive.sample(length=RATE))
        say("wavenet, log_prob", lambda: teacher.log_prob(x))
        say("parallel_wavenet, 2 flows of 2 × 7, sample", lambda: student.sample(length=RATE))
        say("parallel_wavenet, 2 flows of 2 × 7, log_prob", lambda: student.log_prob(x))
        say("parallel_wavenet, 2 flows of 8, sample", lambda: small.sample(length=RATE))
    wavenet.native = None
    print("torch")
    say("wavenet, sample, gaussian", lambda: teacher.sample(length=300), 300, 4)
    say("adaptive_wavenet, sample, gaussian", lambda: adaptive.sample(length=300), 300, 4)
    say("wavenet, log_prob", lambda: teacher.log_prob(x))
    say("parallel_wavenet, 2 flows of 2 × 7, sample", lambda: student.sample(length=RATE))
    say("a window for each sample", lambda: [teacher.network(window) for _ in range(50)], 50, 4)


if __name__ == "__main__":
    main()
