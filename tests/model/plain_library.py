"""What the libraries themselves make of one prompt a row: what the fast ways are compared with."""


def plain_tokens(loaded, row, *, most):
    """The library's own greedy answer to one row alone."""
    import torch

    ids = torch.tensor([row])
    made = loaded.network.generate(
        ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=most, pad_token_id=0
    )
    return made[0, len(row) :].tolist()


def plain_loss(model, rows):
    """Row by row, no padding, no cache: what the loss means."""
    import torch

    total = 0
    for row in rows:
        logits = model(input_ids=torch.tensor([[*row.prompt, *row.answer]])).logits[0]
        expected = logits[len(row.prompt) - 1 : -1].float()
        total = total + torch.nn.functional.cross_entropy(expected, torch.tensor(row.answer), reduction="sum")
    return total


def gradients(network, loss):
    """By parameter name."""
    network.zero_grad(set_to_none=True)
    loss.backward()
    return {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}
