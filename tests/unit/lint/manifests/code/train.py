import torch


def fit(model, loader, epochs):
    for epoch in range(epochs):
        for batch in loader:
            model(batch).backward()
        torch.save(model.state_dict(), "last.pt")
        if epoch % 10 == 0:
            torch.save(model.state_dict(), f"epoch-{epoch}.pt")
    torch.save(model.state_dict(), "final.pt")
